"""Tables of samples and questions, each with the manifest that says what it holds.

All of them have one schema, and open with `datasets.load_dataset("parquet", data_files=...)` as they are. In samples,
`answer` is what is learned, and `answers` are all ways in which people said it; a table of filtered captions has none,
since it would say everything twice.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workflow_scripts.command_line import write_json
from workflow_scripts.identity import sha256_of_file

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

BLOCK = 20_000
"""Rows that are turned into columns at a time."""

_TYPES = {"string": pa.string(), "int32": pa.int32(), "float64": pa.float64()}
_COLUMNS: dict[str, str | list[str]] = {
    "id": "string",
    "image": "string",
    "query": "string",
    "answer": "string",
    "answers": ["string"],
    "task": "string",
    "data_set": "string",
    "kind": "string",
    "group": "string",
    # Not of length 4 by its type: Parquet cannot be read back where a list of fixed length is null.
    "box": ["float64"],
    "image_width": "int32",
    "image_height": "int32",
    "shard": "string",
}


def _feature(kind: str | list[str]) -> dict[str, Any]:
    """A column as `datasets` writes it into the metadata of a file, so that nobody has to import it for that."""
    if isinstance(kind, list):
        return {"feature": _feature(kind[0]), "_type": "List"}
    return {"dtype": kind, "_type": "Value"}


SCHEMA = pa.schema(
    [(name, pa.list_(_TYPES[kind[0]]) if isinstance(kind, list) else _TYPES[kind]) for name, kind in _COLUMNS.items()],
    {"huggingface": json.dumps({"info": {"features": {name: _feature(kind) for name, kind in _COLUMNS.items()}}})},
)


def arrow_blocks(rows: Iterable[Mapping[str, Any]], size: int = BLOCK) -> Iterator[pa.Table]:
    """Yield rows as tables of `size` rows; a column that a row has not is null."""
    left = iter(rows)
    while block := list(islice(left, size)):
        yield pa.table({name: [row.get(name) for row in block] for name in SCHEMA.names}, schema=SCHEMA)


def dataset_of(rows: Iterable[Mapping[str, Any]]) -> "Dataset":
    """Return rows as a data set of `datasets`, in memory."""
    from datasets import Dataset

    return Dataset(pa.concat_tables([SCHEMA.empty_table(), *arrow_blocks(rows)]))


def write_dataset(folder: Path, name: str, dataset: "Dataset", more: Mapping[str, Any]) -> dict[str, Any]:
    """Write `<folder>/<name>` and, last, manifest.json with count, sha256, tasks, images and what `more` holds."""
    import datasets

    datasets.disable_progress_bars()
    folder.mkdir(parents=True, exist_ok=True)
    path, temporary = folder / name, folder / f".{name}.part"
    dataset.to_parquet(temporary)
    temporary.replace(path)
    frame = dataset.select_columns(["task", "image", "data_set"]).to_pandas()
    manifest = {
        "file": name,
        "count": len(dataset),
        "sha256": sha256_of_file(path),
        "tasks": dict(sorted(counts_of(frame["task"]).items())),
        "data_sets": dict(sorted(counts_of(frame["data_set"]).items())),
        "images": int(frame["image"].nunique()),
        **more,
    }
    write_json(folder / "manifest.json", manifest)
    return manifest


def write_table(folder: Path, name: str, rows: Iterable[Mapping[str, Any]], more: Mapping[str, Any]) -> dict[str, Any]:
    """Write rows as `write_dataset` does."""
    return write_dataset(folder, name, dataset_of(rows), more)


def counts_of(values: "pd.Series") -> dict[str, int]:
    """Return how often each value stands in a column, the most frequent first, equals by name; null is not counted."""
    return sorted_counts({str(value): int(count) for value, count in values.value_counts().items()})


def sorted_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts above 0, the largest first."""
    return {key: count for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count}


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts ids by their numbers, whatever their length."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text))
