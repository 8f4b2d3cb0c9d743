"""Which records a split is made of: by the part that a data set says they are in, by a list, or by a hash of the id."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.catalogue.data_sets import SPLIT_NAMES, HoldOut
from workflow_scripts.command_line import read_json
from workflow_scripts.data.records import Record


class Splits:
    """The split of every image of a set, and of a data set's records about them.

    Args:
        image_set: its name in the file.
        hold_out: how many images are held out where no file lists them; None for a set that is one split as a whole.
        parts: the data set's own names of the parts that the wanted split is; none for all.
        path: JSON {image set: {split: [ids]}}.
    """

    def __init__(
        self, image_set: str, hold_out: HoldOut | None = None, parts: Sequence[str] = (), path: Path | None = None
    ) -> None:
        self.hold_out = hold_out
        self.parts = frozenset(parts)
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

    def of(self, image_id: str) -> str:
        """Return train, validation or test; an image that the file leaves out is in none ("")."""
        if self._listed is not None:
            return self._listed.get(image_id, "")
        if self.hold_out is None:
            return "train"
        number = int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:4], "big") % 1000
        if number < self.hold_out.test:
            return "test"
        return "validation" if number < self.hold_out.test + self.hold_out.validation else "train"

    def keep(self, record: Record, wanted: str) -> bool:
        """Tell whether a record is of the wanted split.

        Its part must be one of the split's. Its image must be listed in the split, or come out in it by the hash, where
        the set is split by images. A set of training images that is not split by a hash trains with what a file leaves
        out of its held-out lists, which are about evaluation only.
        """
        if self.parts and record.part and record.part not in self.parts:
            return False
        if self.hold_out is not None or (self._listed is not None and wanted != "train"):
            return self.of(record.image_id) == wanted
        return True
