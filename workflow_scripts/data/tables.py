"""Write tables of samples and questions, each with the manifest that says what it holds."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import write_json

SAMPLE_SCHEMA = pa.schema([(name, pa.string()) for name in ("image", "query", "answer", "task", "source_id")])
PAIR_SCHEMA = SAMPLE_SCHEMA.append(pa.field("shard", pa.string()))
QUESTION_SCHEMA = pa.schema(
    [
        ("question_id", pa.string()),
        ("image", pa.string()),
        ("query", pa.string()),
        ("answer", pa.string()),
        ("answers", pa.list_(pa.string())),
        ("task", pa.string()),
        ("image_width", pa.int32()),
        ("image_height", pa.int32()),
        ("box", pa.list_(pa.float64())),
        ("kind", pa.string()),
        ("group", pa.string()),
    ]
)


def write_table(
    folder: Path, name: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema, more: Mapping[str, Any]
) -> dict[str, Any]:
    """Write `<folder>/<name>` and, last, manifest.json with count, sha256, tasks, images and what `more` holds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    table = pa.table({field.name: [row.get(field.name) for row in rows] for field in schema}, schema=schema)
    temporary = folder / f".{name}.part"
    pq.write_table(table, temporary)
    temporary.replace(path)
    manifest = {
        "file": name,
        "count": len(rows),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "tasks": dict(sorted(Counter(row["task"] for row in rows).items())),
        "images": len({row["image"] for row in rows}),
        **more,
    }
    write_json(folder / "manifest.json", manifest)
    return manifest


def sorted_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts above 0, the largest first."""
    return {key: count for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count}


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts ids by their numbers, whatever their length."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text))
