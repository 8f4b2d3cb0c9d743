"""The names that timm gives its networks, without importing it: that takes seconds, and each job reads the settings."""

import re
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PREFIX = "timm/"
_REGISTERED = re.compile(r"^@register_model\s*\ndef (\w+)", re.MULTILINE)


@cache
def timm_names() -> tuple[str, ...]:
    """Names of all networks that the installed timm builds, sorted; none where it is not installed."""
    package = find_spec("timm")
    folders = package.submodule_search_locations if package else None
    names: set[str] = set()
    for folder in folders or ():
        for path in (Path(folder) / "models").glob("*.py"):
            names.update(_REGISTERED.findall(path.read_text(encoding="utf-8")))
    return tuple(sorted(names))


def check_timm_name(name: str) -> None:
    """Raise ValueError for a name that timm has not; one of its weights may follow, as in `resnet18.a1_in1k`."""
    names = timm_names()
    if names and name.partition(".")[0] not in names:
        near = get_close_matches(name, names, n=3)
        raise ValueError(
            f"timm has no network {name!r}; "
            + (f"the nearest of its names are {', '.join(near)}." if near else "timm.list_models() lists its names.")
        )
