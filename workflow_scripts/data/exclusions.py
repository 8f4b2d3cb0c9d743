"""Training pictures that are left out since evaluations ask about them, by image key."""

from pathlib import Path

from workflow_scripts.command_line import read_json

EXCLUDED = "picture is one of an evaluation"


def read_exclusions(path: Path | None) -> frozenset[str]:
    """Return the image keys (`image_set/id`) that a list names; none for None."""
    if path is None:
        return frozenset()
    content = read_json(path)
    image_sets = content.get("image_sets") if isinstance(content, dict) else None
    if not isinstance(image_sets, dict):
        raise ValueError(f"{path} is no list of excluded pictures; run data.list_exclusions again.")
    return frozenset(f"{name}/{image_id}" for name, reasons in image_sets.items() for image_id in reasons)
