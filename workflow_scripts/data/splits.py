"""Which images train and which ones are held out."""

import hashlib
from pathlib import Path
from typing import Literal

from workflow_scripts.command_line import read_json

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES = ("train", "validation", "test")
TEST_PER_MILLE = 50
VALIDATION_PER_MILLE = 50
HELD_OUT_PER_MILLE = {"daquar_train": (0, 250)}
"""Test and validation of image sets where it is not the above: DAQUAR has a test split of its own, and few pictures."""


class Splits:
    """The split of every image of a set: as a file lists it, or by a hash of the id where no file does."""

    def __init__(self, image_set: str, path: Path | None = None) -> None:
        self._per_mille = HELD_OUT_PER_MILLE.get(image_set, (TEST_PER_MILLE, VALIDATION_PER_MILLE))
        self._listed: dict[str, str] | None = None
        if path is None:
            return
        content = read_json(path)
        lists = content.get(image_set) if isinstance(content, dict) else None
        if lists is None:
            return
        unknown = set(lists) - set(SPLIT_NAMES)
        if unknown:
            names = ", ".join(SPLIT_NAMES)
            raise ValueError(f"{path} has the unknown split {min(unknown)!r} for {image_set}, expected {names}.")
        self._listed = {image_id: split for split, ids in lists.items() for image_id in ids}
        if len(self._listed) != sum(len(ids) for ids in lists.values()):
            raise ValueError(f"{path} puts an image of {image_set} into two splits.")

    @property
    def listed(self) -> bool:
        """Whether a file lists the splits."""
        return self._listed is not None

    def of(self, image_id: str) -> str:
        """Return train, validation or test; an image that the file leaves out is in none ("")."""
        if self._listed is not None:
            return self._listed.get(image_id, "")
        number = int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:4], "big") % 1000
        test, validation = self._per_mille
        if number < test:
            return "test"
        return "validation" if number < test + validation else "train"
