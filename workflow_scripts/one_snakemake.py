"""No two Snakemakes that submit jobs in a project's folder, and no SLURM jobs left over from one that was killed.

Snakemake's own lock stays behind when it is killed, and has to be removed by hand; this one ends with its process.
Those that run without SLURM keep Snakemake's lock, which lets several work in a folder on different files.
"""

import fcntl
import logging
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

log = logging.getLogger(__name__)
_held = []


def take_over(folder: Path, alone: bool, patience_seconds: float = 180) -> None:
    """Hold the folder until this process ends, and cancel the jobs that a killed Snakemake left in SLURM's queue.

    They would write the same files as the jobs that are submitted now. Trainings among them save before they end.

    Args:
        folder: the working directory of the workflow.
        alone: whether nobody else may work there; else all others that are not alone may.
        patience_seconds: how long jobs may take to end.

    Raises:
        ValueError: another Snakemake is at work there, or its jobs do not end.
    """
    _hold(folder / ".snakemake" / "at_work", alone)
    if shutil.which("squeue") is None:
        return
    left = _jobs_of(folder)
    if not left:
        return
    log.warning("%d SLURM jobs are left of a Snakemake that ended: %s; cancelling them", len(left), ", ".join(left))
    subprocess.run(["scancel", *left], check=True, timeout=60)
    end = time.monotonic() + patience_seconds
    while remaining := _jobs_of(folder):
        if time.monotonic() > end:
            raise ValueError(
                f"SLURM jobs of an earlier Snakemake in {folder} do not end: {', '.join(remaining)}; "
                "look at them with squeue, and start again when they are gone."
            )
        time.sleep(1)


def _hold(path: Path, alone: bool) -> None:
    path.parent.mkdir(exist_ok=True)
    stream = open(path, "a+")  # noqa: SIM115 (held until the process ends)
    try:
        fcntl.flock(stream, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        raise ValueError(
            f"Another Snakemake is at work in {path.parent.parent} ({stream.read().strip()}); wait for it or stop it."
        ) from None
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {platform.node()}\n")
    stream.flush()
    _held.append(stream)


def _jobs_of(folder: Path) -> list[str]:
    """Return the ids of this user's unfinished jobs that a Snakemake in the folder has submitted."""
    command = ["squeue", "--me", "--noheader", "--states=PENDING,RUNNING,SUSPENDED,COMPLETING", "--format=%i|%Z|%k"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:  # a login node without a cluster behind it has no jobs either
        log.warning("SLURM does not say which jobs there are: %s", done.stderr.strip())
        return []
    rows = [line.split("|", 2) for line in done.stdout.splitlines()]
    here = folder.resolve()
    # The executor's comment names the rule; a session of the user's own in this folder has none.
    return [job for job, place, comment in rows if Path(place).resolve() == here and comment.startswith("rule_")]
