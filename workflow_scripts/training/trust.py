"""Which checkpoints are loaded: those of this project's own trainings.

DeepSpeed's checkpoints are pickles, and its code runs what is in them as they are read: a checkpoint of a stranger is a
program of a stranger. A checksum beside it proves nothing, since whoever wrote one wrote the other.
"""

from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]


def check_trusted(checkpoint: Path) -> None:
    """ValueError where a checkpoint does not lie in a run folder below the results of this project."""
    folder = checkpoint.resolve()
    in_run = folder.parent.name == "checkpoints" and (folder.parents[1] / "definition.json").is_file()
    if in_run and any(folder.is_relative_to(results) for results in _results()):
        return
    raise ValueError(
        f"{checkpoint} is in no run folder below the results of this project, and to read a checkpoint is to run what "
        "is in it. If you or your project trained it, say so by --trust-checkpoint; else ask for the adaptor as "
        "safetensors, which only holds numbers."
    )


def check_inside(checkpoint: Path, run_folder: Path) -> None:
    """ValueError where a checkpoint that a training would resume from is a link to somewhere else."""
    if not checkpoint.resolve().is_relative_to(run_folder.resolve()):
        raise ValueError(
            f"{checkpoint} is a link to {checkpoint.resolve()}, outside of its run folder, and to read a checkpoint is "
            "to run what is in it; if you trust it, move it here in place of the link."
        )


def _results() -> set[Path]:
    """Where this project's results lie: as its configuration says, in its folder and in the one that one works in."""
    found = set()
    for place in (PROJECT, Path.cwd()):
        try:
            settings = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
            named = settings.get("results", "results")
        except (OSError, ValueError, AttributeError, yaml.YAMLError):
            named = "results"
        found.add((place / str(named)).resolve())
    return found
