"""Turn a language model's weights from PyTorch's pickles into safetensors, which is all that the workflow loads."""

import json
from pathlib import Path

from workflow_scripts.command_line import write_atomically, write_json
from workflow_scripts.sources.transfer import sha256_of

PICKLES = "pytorch_model*.bin"


def unpickle_weights(folder: Path) -> dict[str, str]:
    """Write `model-*.safetensors` in the place of `pytorch_model-*.bin`, and their index; returns sha256 by new name.

    Nothing in the pickles is run: anything but tensors in them is a ValueError that names the file. They are deleted
    when all are converted.
    """
    import torch
    from safetensors.torch import save

    pickles = sorted(folder.glob(PICKLES))
    places: dict[str, str] = {}
    sums: dict[str, str] = {}
    for path in pickles:
        name = path.name.replace("pytorch_model", "model").replace(".bin", ".safetensors")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged or unsafe file
            raise ValueError(
                f"{path} does not hold weights alone ({str(error).splitlines()[0]}); delete it and fetch it again."
            ) from error
        state = {key: value.contiguous() for key, value in state.items()}
        write_atomically(folder / name, save(state, metadata={"format": "pt"}))
        places |= dict.fromkeys(state, name)
        sums[name] = sha256_of(folder / name)
    if len(pickles) > 1:
        old = json.loads((folder / "pytorch_model.bin.index.json").read_text(encoding="utf-8"))
        lost = old["weight_map"].keys() - places.keys()
        if lost:
            raise ValueError(f"The weights in {folder} lack {min(lost)}, which their index names; fetch them again.")
        index = folder / "model.safetensors.index.json"
        write_json(index, {"metadata": old.get("metadata", {}), "weight_map": places})
        sums[index.name] = sha256_of(index)
    for path in pickles:
        path.unlink()
    return sums
