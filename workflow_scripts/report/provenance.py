"""Where figures are from: the scorings that gave them, and the trainings whose adaptors were scored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.report.names import figure_name, run_name


@dataclass(frozen=True)
class Origin:
    """A scoring as a page shows it; cells link to its anchor."""

    anchor: str
    id: str
    figures: tuple[str, ...]
    scores: str
    run_id: str | None
    adaptor_run_id: str | None
    command: str | None
    inputs: Mapping[str, str]
    """What was scored, and the sha256 of each file."""
    git_revision: str | None = None

    @property
    def title(self) -> str:
        """The first figure in words, and how many others the scoring gave."""
        others = len(self.figures) - 1
        return figure_name(self.figures[0]) + (f" and {others} more" if others else "")


def origin_of(scores: Mapping[str, Any]) -> Origin:
    """Where the figures of a scoring are from, as `read_scores` gives it."""
    path = Path(scores["path"])
    folder = f"{path.parent.parent.name}-{path.parent.name}"
    return Origin(
        anchor="scoring-" + re.sub(r"[^\w.-]+", "-", folder),
        id=scores["id"],
        figures=tuple(figure["id"] for figure in scores["figures"]),
        scores=str(path),
        run_id=scores["run_id"],
        adaptor_run_id=scores.get("adaptor_run_id"),
        command=scores.get("command"),
        inputs=scores.get("inputs", {}),
        git_revision=scores.get("git_revision"),
    )


def wording_anchor(key: str) -> str:
    """The place of a page that quotes what the reference says."""
    return f"reported-{key}"


@dataclass(frozen=True)
class ManifestPlace:
    """A manifest that counts on a page are from."""

    anchor: str
    path: str
    sha256: str


def places_of(manifests: Mapping[str, Path]) -> list[ManifestPlace]:
    """The manifests by their names as a page shows them."""
    return [ManifestPlace(f"manifest-{name}", str(path), sha256_of_file(path)) for name, path in manifests.items()]


def describe_runs(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What a page says of each training."""
    runs = []
    for path in paths:
        run = read_json(path)
        settings = run.get("settings", {})
        command = run.get("command") or []
        runs.append(
            {
                "name": run_name(run),
                "run_id": run["run_id"],
                "stage": run["stage"],
                "path": str(path),
                "samples": run["samples"]["count"],
                "samples_path": run["samples"].get("path"),
                "samples_sha256": run["samples"]["sha256"],
                "steps": run["steps"],
                "final_loss": run["final_loss"],
                "seconds": run["seconds"],
                "trainable_parameters": run["trainable_parameters"],
                "seed": settings.get("seed"),
                "settings": settings,
                "git_revision": run.get("git_revision"),
                "code_digest": run.get("code_digest"),
                "command": command if isinstance(command, str) else " ".join(command),
                "environment": run.get("environment", {}),
            }
        )
    return runs
