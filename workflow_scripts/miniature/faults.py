"""Which links of the miniature web do not work, and how."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.miniature.world_parts import Picture

# How the dead links of Conceptual Captions are dead, as often as the web has it.
DEAD = (
    "404",
    "no_route",
    "html",
    "truncated",
    "500",
    "404",
    "410",
    "hang",
    "oversized",
    "404",
    "cut_off",
    "404",
    "html",
    "410",
    "404",
    "truncated",
    "500",
    "404",
    "no_route",
    "404",
)
# What fails at first and works later.
RECOVERING = ("500_once", "slow", "500_twice")
RECOVERING_SHARE = 0.02


def draw_faults(pictures: Sequence[Picture], dead_share: float, rng: random.Random) -> dict[str, str]:
    """Return kind of fault by id of the picture: exactly the dead share, and a few that recover."""
    ids = [picture.id for picture in pictures]
    rng.shuffle(ids)
    dead = round(dead_share * len(ids))
    faults = {key: DEAD[number % len(DEAD)] for number, key in enumerate(ids[:dead])}
    shaky = ids[dead : dead + round(RECOVERING_SHARE * len(ids))]
    return faults | {key: RECOVERING[number % len(RECOVERING)] for number, key in enumerate(shaky)}


def published_url(picture: Picture, fault: str | None) -> str:
    """Return the address that the caption file names; a host that has gone is one that nobody can reach."""
    return f"http://gone-{picture.id}.invalid/{picture.path}" if fault == "no_route" else picture.url


def faults_file(pictures: Sequence[Picture], faults: dict[str, str], files: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of faults.json: kind by address without its scheme; `files` is that of files by URL."""
    content = {
        f"{picture.host}/{picture.path}": faults[picture.id]
        for picture in pictures
        if faults.get(picture.id, "no_route") != "no_route"
    }
    return content | {url.split("://", 1)[1]: fault for url, fault in files.items()}
