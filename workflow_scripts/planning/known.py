"""The table of what is known of data and models before they are there."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).with_name("known.yaml")


@cache
def known() -> dict[str, Any]:
    """Read the table."""
    return yaml.safe_load(TABLE.read_text(encoding="utf-8"))


def known_language_model(name: str) -> dict[str, Any]:
    """Return the geometry of the row whose key is in a model's name in the catalogue, by letters and digits alone."""
    plain = "".join(character for character in name.lower() if character.isalnum())
    for key, row in known()["language_models"].items():
        if key in plain:
            return row
    raise ValueError(
        f"A plan needs the geometry of {name}, which is neither here nor in {TABLE.name}; add a row there."
    )
