"""The trained full-precision weights: from a running engine, or from a checkpoint on disk, sharded or not.

As a command it writes the adaptor of a checkpoint as `adaptor.safetensors`, as a finished training does.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from deepspeed import DeepSpeedEngine
from deepspeed.utils import safe_get_full_fp32_param
from torch import Tensor

from workflow_scripts.command_line import read_json, run_command
from workflow_scripts.identity import run_id
from workflow_scripts.models.adaptor import build_adaptor, save_adaptor
from workflow_scripts.training.checkpoint import broken_files
from workflow_scripts.training.trust import check_trusted

PREFIX = "adaptor."


def trained_state(engine: DeepSpeedEngine, part: str) -> dict[str, Tensor]:
    """Gather the trained fp32 weights of a part of the model from all processes; every process has to call this.

    `part` is "adaptor", "q_former" or "language_model"; of these those parameters that are not frozen.
    """
    state = {}
    for name, parameter in getattr(engine.module, part).named_parameters():
        if parameter.requires_grad:
            full = safe_get_full_fp32_param(parameter)
            state[name] = (parameter if full is None else full).detach().float().cpu().clone()
    return state


def adaptor_state_of_checkpoint(folder: Path) -> dict[str, Tensor]:
    """Read the adaptor's fp32 weights from a checkpoint folder, whatever its ZeRO stage and number of processes.

    Needs neither a process group nor a GPU. What is in the files is run as they are read: see `check_trusted`.
    """
    if list(folder.glob("*_optim_states.pt")):
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

        whole = get_fp32_state_dict_from_zero_checkpoint(str(folder.parent), tag=folder.name)
    elif (folder / "mp_rank_00_model_states.pt").is_file():
        # DeepSpeed's own file holds settings beside tensors.
        whole = torch.load(folder / "mp_rank_00_model_states.pt", map_location="cpu", weights_only=False)["module"]
    else:
        raise ValueError(f"{folder} holds no DeepSpeed checkpoint.")
    state = {name.removeprefix(PREFIX): value.float() for name, value in whole.items() if name.startswith(PREFIX)}
    if not state:
        raise ValueError(f"{folder} holds no adaptor.")
    return state


def export_checkpoint(folder: Path, output: Path, trusted: bool = False) -> None:
    """Write the adaptor of a checkpoint in a run folder, for one process without DeepSpeed to read.

    Raises:
        ValueError: the checkpoint is damaged, or in no run folder of this project and not called trusted, or its
            training has more beside the adaptor, whose weights may not be in it.
    """
    if output.suffix != ".safetensors":
        raise ValueError(f"{output} is to be a file of safetensors; let its name end in .safetensors.")
    record, definition = read_json(folder / "checkpoint.json"), read_json(folder.parents[1] / "definition.json")
    if broken := broken_files(folder, record["files"]):
        raise ValueError(f"{folder} is damaged ({', '.join(broken)} missing or not as written); take another one.")
    settings = definition["settings"]
    if settings.get("features") == "online":
        raise ValueError(
            f"The training of {folder} had online features, and an adaptor of such is of use with its Q-Former only; "
            "let it end, which writes both."
        )
    if record["state"].get("low_rank"):
        raise ValueError(
            f"The training of {folder} has low-rank additions to the language model, and its adaptor is of use with "
            "them only; let it end, which writes both."
        )
    if not trusted:
        check_trusted(folder)
    state = adaptor_state_of_checkpoint(folder)
    outputs, inputs = next(value.shape for value in state.values() if value.ndim == 2)
    adaptor = build_adaptor(settings["adaptor"], inputs, outputs)
    adaptor.load_state_dict(state)
    metadata = {"run_id": run_id(definition["identity"]), "step": str(record["state"]["progress"]["step"])}
    save_adaptor(adaptor, output, metadata)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--checkpoint RUN_FOLDER/checkpoints/step-N --output adaptor.safetensors`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a folder step-... of a training")
    parser.add_argument("--output", type=Path, required=True, help="the file to write, NAME.safetensors")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="read one that is not below this project's results: it is a program, and it is run",
    )
    arguments = parser.parse_args(argv)
    export_checkpoint(arguments.checkpoint.absolute(), arguments.output, arguments.trust_checkpoint)


if __name__ == "__main__":
    run_command(main)
