"""No two Snakemakes at once on the same files of a project's folder, and nothing left over from one that was killed.

Snakemake's own lock is a list of files that stays behind when it is killed, and would have to be removed by hand. Each
Snakemake holds a lock here too, from the reading of the Snakefile on, which ends with its process: where nobody holds
it, what lies there of Snakemake's is of the dead. Those that submit jobs to SLURM work without Snakemake's lock, and
alone; others keep it, which lets several work in a folder on different files.
"""

import contextlib
import errno
import fcntl
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)
# What a Snakemake's jobs find in their environment: whose they are, and where it works.
_MARK = "WORKFLOW_SNAKEMAKE"
# What file systems without such locks say, as some mounts of Lustre and NFS are.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_held: list[IO[str]] = []


def enter(folder: Path) -> None:
    """Say that a Snakemake is here until this process ends, and remove the locks of those that were killed.

    Called where the Snakefile is read: Snakemake looks at its own lock before its first hook.

    Raises:
        ValueError: the folder cannot be written.
    """
    stream = _open(folder / ".snakemake" / "entered")
    locks = folder / ".snakemake" / "locks"
    if _lock(stream, fcntl.LOCK_EX) is True and locks.is_dir() and any(locks.iterdir()):
        log.warning("The locks of a Snakemake that was killed in %s are removed.", folder)
        shutil.rmtree(locks)
    # Between the two locks another one may hold it, for a moment, to look as well.
    while _lock(stream, fcntl.LOCK_SH) is False:
        time.sleep(0.05)
    _held.append(stream)


def take_over(folder: Path, alone: bool, patience_seconds: float = 180) -> None:
    """Hold the folder until this process ends, and end the jobs that a killed Snakemake left, here or in SLURM's queue.

    They would write the same files as the jobs that start now. Trainings among them save before they end.

    Args:
        folder: the working directory of the workflow.
        alone: whether nobody else may work there; else all others that are not alone may.
        patience_seconds: how long jobs may take to end.

    Raises:
        ValueError: another Snakemake is at work there, or its jobs do not end.
    """
    _hold(folder / ".snakemake" / "at_work", alone)
    _end_orphans(folder, patience_seconds)
    os.environ[_MARK] = _mark(folder)
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
    stream = _open(path)
    if _lock(stream, fcntl.LOCK_EX if alone else fcntl.LOCK_SH) is False:
        stream.seek(0)
        raise ValueError(
            f"Another Snakemake is at work in {path.parent.parent} ({stream.read().strip()}); wait for it or stop it."
        )
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {platform.node()}\n")
    stream.flush()
    _held.append(stream)


def _open(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(exist_ok=True)
        return open(path, "a+")
    except OSError as error:
        raise ValueError(
            f"Snakemake keeps its records in {path.parent}, which cannot be written ({error.strerror}); make a folder "
            f"of your own, link the project into it (ln -s {path.parent.parent}/* .), and start Snakemake there."
        ) from error


def _lock(stream: IO[str], kind: int) -> bool | None:
    """Whether a lock could be had; None where the file system has none."""
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        log.warning("The file system of %s has no locks; see to it yourself that one Snakemake works.", stream.name)
        return None
    return True


def _mark(folder: Path) -> str:
    pid = os.getpid()
    return f"{pid} {_started(pid)} {platform.node()} {folder.resolve()}"


def _started(pid: int) -> str:
    """When a process was started, in ticks since the boot; nothing where it is gone, or as good as gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _end_orphans(folder: Path, patience_seconds: float) -> None:
    """End the programs that a killed Snakemake left at work on this machine, and wait until they are gone."""
    left = _orphans(folder)
    if not left:
        return
    log.warning("%d programs are left of a Snakemake that was killed; ending them, trainings save", len(left))
    for pid in left:
        # Shells and tee end with the programs that they wait for, which still have something to say to them.
        if Path(f"/proc/{pid}/exe").resolve() == Path(sys.executable).resolve():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
                os.kill(pid, signal.SIGCONT)  # one that is stopped would not hear it
    end = time.monotonic() + patience_seconds
    while remaining := _orphans(folder):
        if time.monotonic() > end:
            raise ValueError(
                f"Programs of a Snakemake that was killed in {folder} do not end: processes "
                f"{', '.join(map(str, remaining))}; end them with kill, and start again when they are gone."
            )
        time.sleep(0.2)


def _orphans(folder: Path) -> list[int]:
    """Return this user's processes here that a Snakemake in the folder started that is not there any more."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            entries = path.read_bytes().split(b"\0")
        except OSError:  # another user's, or just gone
            continue
        mark = next((entry for entry in entries if entry.startswith(f"{_MARK}=".encode())), None)
        # What runs in a SLURM job ends with it.
        if mark is None or any(entry.startswith(b"SLURM_JOB_ID=") for entry in entries):
            continue
        pid, started, node, place = os.fsdecode(mark).partition("=")[2].split(" ", 3)
        if (node, place) == (platform.node(), str(folder.resolve())) and _started(int(pid)) != started:
            found.append(int(path.parent.name))
    return [pid for pid in found if _started(pid) and pid != os.getpid()]


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
