"""Write a table of samples block by block, with the manifest that says what it holds."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import write_json
from workflow_scripts.data.tables import SCHEMA, arrow_blocks
from workflow_scripts.digests import Distinct
from workflow_scripts.identity import sha256_of_file

# Rows of a row group, which is what memory holds.
BLOCK = 20_000


class TableWriter:
    """Writes `<folder>/<name>` under a temporary name; `finish` renames it and writes manifest.json.

    What is not finished when the block ends is deleted. Images are counted by eight bytes of a digest each.
    """

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name = folder, name
        self._temporary = folder / f".{name}.part"
        self._writer = pq.ParquetWriter(self._temporary, SCHEMA)
        self._tasks: Counter[str] = Counter()
        self._data_sets: Counter[str] = Counter()
        self._images = Distinct()
        self.count = 0

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows, which may be more than memory holds."""
        for block in arrow_blocks(rows, BLOCK):
            self.append(block)

    def append(self, block: pa.Table) -> None:
        """Append a table of the schema as a row group."""
        self._writer.write_table(block)
        self._tasks.update(_counts(block["task"]))
        self._data_sets.update(_counts(block["data_set"]))
        self._images.add(block["image"].to_pylist())
        self.count += len(block)

    def finish(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Put the table under its name and write the manifest: count, sha256, tasks, images and what `more` holds."""
        self._writer.close()
        path = self._folder / self._name
        self._temporary.replace(path)
        manifest = {
            "file": self._name,
            "count": self.count,
            "sha256": sha256_of_file(path),
            "tasks": dict(sorted(self._tasks.items())),
            "data_sets": dict(sorted(self._data_sets.items())),
            "images": self._images.count(),
            **more,
        }
        write_json(self._folder / "manifest.json", manifest)
        return manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._temporary.unlink(missing_ok=True)


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each text stands in a column; null is not counted."""
    return {entry["values"]: entry["counts"] for entry in column.drop_null().value_counts().to_pylist()}
