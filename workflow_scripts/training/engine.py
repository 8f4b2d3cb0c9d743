"""The DeepSpeed engine around the vision-language model."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import deepspeed
import torch

from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.models.vision_language_model import VisionLanguageModel
from workflow_scripts.training.process_group import world_size


def resolve_precision(precision: str) -> str:
    """Return fp32, bf16 or fp16 for a setting that may be `auto`."""
    if not torch.cuda.is_available():
        if precision == "fp16":
            raise ValueError("precision = 'fp16': a CPU cannot train in fp16; choose auto, fp32 or bf16.")
        return "fp32" if precision == "auto" else precision
    if precision == "auto":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return precision


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def shares(settings: TrainingSettings, processes: int) -> tuple[int, int]:
    """Return how many samples a process takes in a forward pass, and how many passes make its share of a batch."""
    if settings.batch_size % processes:
        raise ValueError(
            f"batch_size = {settings.batch_size} does not divide among {processes} processes; choose a multiple, or "
            "another number of GPUs."
        )
    share = settings.batch_size // processes
    micro = settings.micro_batch_size or share
    if share % micro:
        raise ValueError(
            f"micro_batch_size = {micro} does not divide a process's share of {share} samples "
            f"(batch_size {settings.batch_size} / {processes} processes)."
        )
    return micro, share // micro


def engine_config(settings: TrainingSettings, precision: str) -> dict[str, Any]:
    """Return DeepSpeed's configuration for the settings."""
    micro, passes = shares(settings, world_size())
    config: dict[str, Any] = {
        "train_batch_size": settings.batch_size,
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": passes,
        "gradient_clipping": settings.gradient_clipping,
        "zero_optimization": {"stage": settings.zero_stage},
        "zero_allow_untested_optimizer": True,
        "steps_per_print": sys.maxsize,
        "wall_clock_breakdown": False,
    }
    if precision == "bf16":
        config["bf16"] = {"enabled": True}
    if precision == "fp16":
        config["fp16"] = {"enabled": True, "initial_scale_power": 16}
    return config


def build_engine(
    model: VisionLanguageModel, settings: TrainingSettings, config: dict[str, Any]
) -> deepspeed.DeepSpeedEngine:
    """Wrap the model for training; the optimizer sees the adaptor's parameters and what is trained beside it."""
    parts = (
        (model.adaptor, 1.0),
        (model.q_former, settings.q_former_learning_rate_share),
        (model.language_model, settings.low_rank_learning_rate_share),
    )
    groups = []
    for part, share in parts:
        parameters = [parameter for parameter in part.parameters() if parameter.requires_grad] if part else []
        if parameters:
            groups.append({"params": parameters, "learning_rate_share": share})
    optimizer = torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
    )
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config, dist_init_required=False)
    return engine


def save_engine_state(engine: deepspeed.DeepSpeedEngine, folder: Path) -> None:
    """Write the trained parameters, optimizer and random state into a folder; every process has to call this."""
    state = {"random_state": torch.get_rng_state()}
    engine.save_checkpoint(
        str(folder.parent), tag=folder.name, client_state=state, save_latest=False, exclude_frozen_parameters=True
    )


def load_engine_state(engine: deepspeed.DeepSpeedEngine, folder: Path) -> None:
    """Load what `save_engine_state` wrote; every process has to call this."""
    loaded, state = engine.load_checkpoint(str(folder.parent), tag=folder.name, load_module_strict=False)
    if loaded is None:
        raise ValueError(f"DeepSpeed finds nothing to load in {folder}; delete that checkpoint to use the one before.")
    torch.set_rng_state(state["random_state"])


def convert_to_universal(folder: Path) -> Path:
    """Convert a checkpoint into DeepSpeed's universal format, which any number of processes can load.

    Run by one process; the result lies beside the checkpoint and is removed by the caller.
    """
    output = folder.parent / f".universal-{folder.name}"
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", "--inject_missing_state"]
    command += ["--input_folder", str(folder), "--output_folder", str(output)]
    command += ["--num_extract_workers", "1", "--num_merge_workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(
            f"{folder} could not be converted for another number of processes: {done.stderr.strip()[-500:]}"
        )
    return output
