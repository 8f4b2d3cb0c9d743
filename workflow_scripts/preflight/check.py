"""See, before anything long starts, that disk, access to gated models and GPUs are what the workflow needs."""

import argparse
import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.catalogue.sources import Source
from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.config.jobs import PreflightSettings
from workflow_scripts.sources.gated import access_to
from workflow_scripts.sources.mirror import rewrite_url

logger = logging.getLogger("preflight")


def check_disk(folder: Path, needed_gb: float) -> float:
    """Return the free disk of a folder in GB; too little is a ValueError."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed_gb:
        raise ValueError(
            f"The workflow needs {needed_gb:.0f} GB in {folder.resolve()}, where {free:.0f} GB are free; make room, or "
            "name another folder by `results` in config.yaml."
        )
    return free


def check_access(name: str, source: Source, timeout_seconds: float = 30.0) -> str:
    """Ask for the head of a gated model's first file; returns what was found.

    Raises:
        ValueError: there is no token, or the one there is has no access, or there is no answer.
    """
    access = access_to(source)
    if access is None:
        return "open" if source.gated is None else "from a mirror"
    url = source.files[0].url
    assert url is not None, "gated files have addresses"
    try:
        answer = requests.head(
            rewrite_url(url),
            headers={"Authorization": f"Bearer {access.token}"},
            timeout=timeout_seconds,
            allow_redirects=True,
        )
    except requests.RequestException as error:
        raise ValueError(
            f"{url} does not answer ({type(error).__name__}); {name} cannot be fetched from here."
        ) from error
    if answer.status_code in (401, 403):
        raise ValueError(
            f"The token has no access to {name} (HTTP status {answer.status_code} for {url}); ask for it, with the "
            f"token's account, at {access.page}."
        )
    if not answer.ok:
        raise ValueError(f"{url} answers with HTTP status {answer.status_code}; {name} cannot be fetched from here.")
    return "the token has access"


def check_gpus(count: int, memory_gb: float) -> dict[str, Any]:
    """See that there are so many GPUs, each with the memory and with bf16, and that they talk to each other.

    Raises ValueError with what was expected and found.
    """
    import torch

    found = torch.cuda.device_count()
    if found < count:
        raise ValueError(f"The trainings use {count} GPUs of one node, but this job sees {found}; check the partition.")
    names = [torch.cuda.get_device_name(index) for index in range(count)]
    for index, name in enumerate(names):
        memory = torch.cuda.get_device_properties(index).total_memory / 1e9
        if memory < memory_gb:
            raise ValueError(f"GPU {index} ({name}) has {memory:.0f} GB of memory, but {memory_gb:.0f} GB are needed.")
    if not torch.cuda.is_bf16_supported():
        raise ValueError(f"{names[0]} has no bf16; set precision = 'fp16' for the trainings, and preflight.gpus = 0.")
    return {"gpus": names, "all_reduce": all_reduce(count)}


def all_reduce(processes: int) -> str:
    """Let processes add a number up over NCCL (gloo without GPUs); returns the back end. ValueError where it fails."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "workflow_scripts.preflight.all_reduce"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{processes} processes did not reach each other within 4 minutes; check NCCL.") from None
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        raise ValueError(f"{processes} processes could not add a number up: {' '.join(last)}; check NCCL.")
    return done.stdout.strip().splitlines()[-1]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--models NAME ... --settings JSON(PreflightSettings) --output F.json [--catalogue F ...]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=[], help="names of models in the catalogue")
    parser.add_argument("--settings", type=PreflightSettings.model_validate_json, required=True)
    parser.add_argument(
        "--output", type=Path, required=True, help="JSON of what was found; its disk is the one checked"
    )
    parser.add_argument("--catalogue", nargs="+", default=[], help="more files, or folders, of rows")
    arguments = parser.parse_args(argv)
    settings = arguments.settings
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    rows = load_catalogue(arguments.catalogue)
    found: dict[str, Any] = {"free_gb": round(check_disk(arguments.output.parent, settings.disk_gb), 1)}
    found["models"] = {name: check_access(name, rows.model(name)) for name in arguments.models}
    if settings.gpus:
        found |= check_gpus(settings.gpus, settings.gpu_memory_gb)
    write_json(arguments.output, found)
    logger.info("%s", found)


if __name__ == "__main__":
    run_command(main)
