"""Hold what a training was given against what its identity says that it is made from."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_REMEDY = "a run must read what its record names: start it by its rule, or leave --identity out."


def check_given(arguments: argparse.Namespace) -> None:
    """Raise ValueError where a folder is not the one whose id stands in the identity's `from`.

    Folders of the workflow end in the id of what they hold (`pairs-0123456789ab`). An identity without `from` says
    nothing of folders: a command by hand may have any.
    """
    made_from: Mapping[str, Any] = arguments.identity.get("from") or {}
    initial = arguments.initial_adaptor
    given: dict[str, Sequence[Path | None]] = {
        "samples": [arguments.samples.parent],
        "language_model": [arguments.language_model],
        "features": arguments.features or [],
        "images": arguments.images or [],
        "feature_extractor": [arguments.feature_extractor],
        "initial_adaptor": [initial.parent if initial else None],
    }
    for role, ids in made_from.items():
        folders = [Path(folder) for folder in given.get(role, []) if folder is not None]
        if not folders and role == "feature_extractor":
            continue  # cached features name their extractor themselves
        wanted = [ids] if isinstance(ids, str) else list(ids)
        found = [folder.resolve().name.rpartition("-")[2] for folder in folders]
        if found != wanted:
            option, there = f"--{role.replace('_', '-')}", ", ".join(map(str, folders)) or "nothing"
            raise ValueError(
                f"{option} is {there}, but the run's identity says that it is made from {', '.join(wanted)}; {_REMEDY}"
            )
    if not made_from:
        return
    for role in ("initial_adaptor", "images", "features"):
        folders = [str(folder) for folder in given[role] if folder is not None]
        if folders and role not in made_from:
            option = f"--{role.replace('_', '-')}"
            raise ValueError(f"{option} is {', '.join(folders)}, which the run's identity does not name; {_REMEDY}")
