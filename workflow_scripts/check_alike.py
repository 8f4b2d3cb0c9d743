"""Compare the manifests of folders that are to be used as one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def check_alike(
    folders: Sequence[Path], manifests: Sequence[Mapping[str, Any]], names: Sequence[str], otherwise: str
) -> None:
    """Raise ValueError where manifests of folders differ from the first one's in an entry of these names.

    Args:
        otherwise: what it means for the folders to differ, and the way out.
    """
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        for name in names:
            if manifest[name] != first[name]:
                raise ValueError(
                    f"{folder} and {folders[0]} differ in {name} ({manifest[name]} and {first[name]}): {otherwise}."
                )
