"""A file of JSON lines as a sequence, of which only what is asked for is read."""

import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


class Lines(Sequence[dict[str, Any]]):
    """The objects of a JSON lines file by their number; the file is memory-mapped."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as stream:
            self._text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._ends = np.flatnonzero(np.frombuffer(self._text, np.uint8) == ord("\n"))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> dict[str, Any]:  # type: ignore[override]
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        number %= len(self)
        start = self._ends[number - 1] + 1 if number else 0
        return json.loads(self._text[start : self._ends[number]])
