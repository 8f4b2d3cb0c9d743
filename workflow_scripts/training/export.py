"""The trained full-precision weights: from a running engine, or from a checkpoint on disk, sharded or not."""

from pathlib import Path

import torch
from deepspeed import DeepSpeedEngine
from deepspeed.utils import safe_get_full_fp32_param
from torch import Tensor

PREFIX = "adaptor."


def trained_state(engine: DeepSpeedEngine, part: str) -> dict[str, Tensor]:
    """Gather the trained fp32 weights of a part of the model from all processes; every process has to call this.

    `part` is "adaptor" or "q_former"; of the latter those parameters that are not frozen.
    """
    state = {}
    for name, parameter in getattr(engine.module, part).named_parameters():
        if parameter.requires_grad:
            full = safe_get_full_fp32_param(parameter)
            state[name] = (parameter if full is None else full).detach().float().cpu().clone()
    return state


def adaptor_state_of_checkpoint(folder: Path) -> dict[str, Tensor]:
    """Read the adaptor's fp32 weights from a checkpoint folder, whatever its ZeRO stage and number of processes.

    Needs neither a process group nor a GPU.
    """
    if list(folder.glob("*_optim_states.pt")):
        from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

        whole = get_fp32_state_dict_from_zero_checkpoint(str(folder.parent), tag=folder.name)
    elif (folder / "mp_rank_00_model_states.pt").is_file():
        # DeepSpeed's own file holds settings beside tensors; checkpoints are checksummed before they are read.
        whole = torch.load(folder / "mp_rank_00_model_states.pt", map_location="cpu", weights_only=False)["module"]
    else:
        raise ValueError(f"{folder} holds no DeepSpeed checkpoint.")
    state = {name.removeprefix(PREFIX): value.float() for name, value in whole.items() if name.startswith(PREFIX)}
    if not state:
        raise ValueError(f"{folder} holds no adaptor.")
    return state
