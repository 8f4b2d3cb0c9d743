"""What became of the pictures of an image set that were asked for: the shard of each, or nothing where it failed.

Millions of pictures are looked up in the order of their ids, in the memory of one block of rows; where captions come in
another order, all ids of the set are held.
"""

from collections.abc import Iterator
from heapq import merge
from pathlib import Path

import pyarrow.parquet as pq

BLOCK = 16_384
NOT_ASKED_FOR = "not asked for"


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[str, str | None]]:
    """Yield (id, shard) of a table in its order, with None where it has no shards."""
    if not path.is_file():
        raise ValueError(f"{path} does not exist; run the download of its image set again.")
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BLOCK, columns=columns):
            ids = batch.column("id").to_pylist()
            shards = batch.column("shard").to_pylist() if "shard" in columns else [None] * len(ids)
            yield from zip(ids, shards, strict=True)


class Outcomes:
    """Looks pictures up by id: their shard, None where they failed, `NOT_ASKED_FOR` where nobody asked for them."""

    def __init__(self, image_set: Path, in_order: bool) -> None:
        """Open an image set's folder; `in_order` promises that ids will be asked for in ascending order."""
        tables = ((image_set / "images.parquet", ["id", "shard"]), (image_set / "failures.parquet", ["id"]))
        self._image_set = image_set
        self.in_order = in_order
        self._all: dict[str, str | None] | None = None
        if in_order:
            self._left = merge(*(_rows(path, columns) for path, columns in tables), key=lambda row: row[0])
            self._next: tuple[str, str | None] | None = next(self._left, None)
        else:
            self._all = {key: shard for path, columns in tables for key, shard in _rows(path, columns)}

    def of(self, image_id: str) -> str | None:
        """Return the shard of a picture; None, or `NOT_ASKED_FOR`, where there is none."""
        if self._all is not None:
            return self._all.get(image_id, NOT_ASKED_FOR)
        while self._next is not None and self._next[0] < image_id:
            before, self._next = self._next, next(self._left, None)
            if self._next is not None and self._next[0] < before[0]:
                raise ValueError(
                    f"The tables of {self._image_set} are not in the order of ids ({self._next[0]} comes after "
                    f"{before[0]}); download the image set again."
                )
        if self._next is None or self._next[0] != image_id:
            return NOT_ASKED_FOR
        return self._next[1]
