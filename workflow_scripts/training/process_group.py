"""The process group of a training: who takes part, what they agree on, and when they part."""

import logging
import os
from typing import Any

import torch
import torch.distributed

log = logging.getLogger(__name__)


def start_process_group() -> None:
    """Join the process group that torchrun describes; one process alone needs no torchrun, port or address."""
    import deepspeed  # not above: what reads checkpoints only shall not wait for it
    import deepspeed.ops

    if torch.distributed.is_initialized():
        return
    distributed = "RANK" in os.environ and "MASTER_ADDR" in os.environ
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if distributed:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        torch.distributed.init_process_group(backend)
    else:
        os.environ.setdefault("LOCAL_RANK", "0")
        torch.distributed.init_process_group(backend, store=torch.distributed.HashStore(), rank=0, world_size=1)
    # Without this, init_distributed compiles a shared-memory extension for CPUs: 45 s that buy nothing here.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend=backend, auto_mpi_discovery=False, verbose=False)


def wait_for_all() -> None:
    """Return once every process has done its work: where one leaves to be resumed, torchrun ends the others."""
    if world_size() == 1:
        return
    try:
        torch.distributed.barrier()
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        log.warning("another process of this training ended before this one: %s", error)


def world_size() -> int:
    """Number of processes that train together."""
    return torch.distributed.get_world_size()


def agree(value: Any) -> Any:
    """Return the first process's value on all processes."""
    values = [value]
    if world_size() > 1:
        torch.distributed.broadcast_object_list(values, src=0)
    return values[0]


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether an error says that another process of the training, or its node, is gone."""
    # gloo has no error class of its own; what it raises begins with the file in its sources.
    return isinstance(error, torch.distributed.DistError) or "/gloo/" in str(error)


def device() -> torch.device:
    """The device of this process."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
