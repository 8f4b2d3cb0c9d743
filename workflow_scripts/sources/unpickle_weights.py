"""Turn weights from PyTorch's pickles into safetensors, which is all that the workflow loads."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.command_line import write_atomically, write_json
from workflow_scripts.sources.transfer import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

PICKLES = "pytorch_model*.bin"
# Of one file of safetensors; twice of it is what memory holds, whatever the size of the pickles.
SHARD_BYTES = 500_000_000


def unpickle_weights(folder: Path) -> dict[str, str]:
    """Write `model*.safetensors` in the place of `pytorch_model*.bin`, and an index of several; returns sha256 by name.

    Nothing in the pickles is run: anything but tensors in them is a ValueError that names the file. They are deleted
    when all are converted.
    """
    from safetensors.torch import save

    pickles = sorted(folder.glob(PICKLES))
    state = {key: value for path in pickles for key, value in _load(path).items()}
    metadata = _check_index(folder / "pytorch_model.bin.index.json", state) if len(pickles) > 1 else {}
    groups = _grouped(state)
    names = [f"model-{number:05d}-of-{len(groups):05d}.safetensors" for number in range(1, len(groups) + 1)]
    names = names if len(groups) > 1 else ["model.safetensors"]
    sums: dict[str, str] = {}
    for name, keys in zip(names, groups, strict=True):
        content = save({key: state[key].contiguous() for key in keys}, metadata={"format": "pt"})
        write_atomically(folder / name, content)
        sums[name] = sha256_of(folder / name)
    if len(groups) > 1:
        index = folder / "model.safetensors.index.json"
        places = {key: name for name, keys in zip(names, groups, strict=True) for key in keys}
        write_json(index, {"metadata": metadata, "weight_map": places})
        sums[index.name] = sha256_of(index)
    for path in pickles:
        path.unlink()
    return sums


def _load(path: Path) -> dict[str, "Tensor"]:
    """The tensors of a pickle; they stay in the file until they are used, if it is of the form that allows it."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch raises many kinds for a damaged or unsafe file
        raise ValueError(
            f"{path} does not hold weights alone ({str(error).splitlines()[0]}); delete it and fetch it again."
        ) from error


def _check_index(path: Path, state: Mapping[str, "Tensor"]) -> dict[str, object]:
    """The metadata of an index; a weight that it names and no file holds is a ValueError."""
    index = json.loads(path.read_text(encoding="utf-8"))
    lost = index["weight_map"].keys() - state.keys()
    if lost:
        raise ValueError(f"The weights in {path.parent} lack {min(lost)}, which their index names; fetch them again.")
    return index.get("metadata", {})


def _grouped(state: Mapping[str, "Tensor"]) -> list[list[str]]:
    """Names of tensors in their order, in groups of `SHARD_BYTES` at most; a larger tensor is a group of its own."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, value in state.items():
        if groups[-1] and filled + value.nbytes > SHARD_BYTES:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += value.nbytes
    return groups
