"""What every job of the workflow finds in its environment."""

import os
import subprocess
import sys
from pathlib import Path

# glibc hands large blocks back to the system at once and faults them in again at the next step, which took two thirds
# of a network's time on a virtual machine (35 pictures a second through EfficientNet-lite0 against 10).
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "67108864",
}


def prepare_job_environment(project: Path) -> None:
    """Let jobs find the Python that runs Snakemake and the package, and silence third-party warnings.

    So `python -m workflow_scripts...` means the same whether or not the environment was activated, and wherever
    `snakemake --directory` puts the job. A conda environment of a rule is activated later and still comes first.
    """
    _put_first("PATH", Path(sys.executable).parent)
    _put_first("PYTHONPATH", project)
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    for name, value in _KEEP_MEMORY.items():
        os.environ.setdefault(name, value)
    if "SLURM_JOB_ID" in os.environ and "SLURM_JOB_END_TIME" not in os.environ:
        _ask_for_the_end_of_the_job()


def name_mirror(folder: Path) -> None:
    """Tell jobs where the mirror of the web lies, in a way that Snakemake does not compare."""
    os.environ["MIRROR_FOLDER"] = str(folder)


def name_caches(folder: Path) -> None:
    """Tell jobs where libraries may keep what they make anew: below the results, never in a home folder."""
    os.environ["HF_DATASETS_CACHE"] = str(folder / "datasets")


def _ask_for_the_end_of_the_job() -> None:
    """Set SLURM_JOB_END_TIME, in seconds since 1970, which SLURM itself sets from 23.02 on only."""
    command = ["squeue", "--noheader", "--jobs", os.environ["SLURM_JOB_ID"], "--format", "%e"]
    try:
        answer = subprocess.run(
            command, env={**os.environ, "SLURM_TIME_FORMAT": "%s"}, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"The end of this SLURM job is unknown: {error}", file=sys.stderr)
        return
    if answer.stdout.strip().isdigit():
        os.environ["SLURM_JOB_END_TIME"] = answer.stdout.strip()


def _put_first(variable: str, folder: Path) -> None:
    others = [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry and entry != str(folder)]
    os.environ[variable] = os.pathsep.join([str(folder), *others])
