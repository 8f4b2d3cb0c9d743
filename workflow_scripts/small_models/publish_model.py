"""What stands beside the weights of a model: a card and checksums."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.command_line import write_atomically
from workflow_scripts.config.base import Section

CHECKSUMS = "SHA256SUMS"


def write_card(folder: Path, title: str, text: str, settings: Section, figures: Mapping[str, float]) -> None:
    """Write README.md: what the model is, its settings and figures in per cent."""
    lines = [f"# {title}", "", text, "", "## Figures", ""]
    lines += [f"- {name}: {value:.1f} %" for name, value in figures.items()] or ["- none: no validation pictures"]
    lines += ["", "## Settings", "", "```json", settings.model_dump_json(indent=1), "```", ""]
    write_atomically(folder / "README.md", "\n".join(lines))


def write_checksums(folder: Path) -> None:
    """Write SHA256SUMS over all other files of the folder, in the form that `sha256sum --check` reads."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != CHECKSUMS:
            with path.open("rb") as stream:
                lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.name}")
    write_atomically(folder / CHECKSUMS, "\n".join(lines) + "\n")
