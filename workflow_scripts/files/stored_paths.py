"""Paths that a file names, relative to its own folder, so that a tree of results can be moved or be behind a link."""

import os
from collections.abc import Sequence
from pathlib import Path


def stored_path(target: Path, base: Path) -> str:
    """The path of `target` as it is stored in a file of the folder `base`, which may be behind a link.

    Of the ways to say it, the one that leaves the fewest folders counts: what lies in one tree is moved with it.
    """
    real = os.path.realpath(base)
    # As the user wrote it first: a link of theirs to another disk stays the name of it.
    ways = [os.path.relpath(os.path.abspath(target), real), os.path.relpath(os.path.realpath(target), real)]
    return min(ways, key=lambda way: Path(way).parts.count(".."))


def stored_places(stored: str, base: Path) -> list[Path]:
    """Where a path that a file of `base` names may be: as seen from where `base` really is, and as it was reached."""
    ways = [os.path.realpath(base), os.path.abspath(base)]
    return [Path(way) for way in dict.fromkeys(os.path.normpath(os.path.join(way, stored)) for way in ways)]


def find_stored(stored: str, base: Path) -> Path | None:
    """The place of a stored path that is there, if any is."""
    return next((place for place in stored_places(stored, base) if place.exists()), None)


def not_there(what: str, stored: Sequence[str], base: Path, way_out: str) -> ValueError:
    """The error for stored paths that are not there any more: where they were looked for, and how to tell it."""
    places = " nor ".join(str(place) for one in stored for place in stored_places(one, base))
    return ValueError(f"{what} of {base} {'are' if what.endswith('s') else 'is'} not at {places} any more; {way_out}.")
