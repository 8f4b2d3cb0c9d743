import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image_sets import jpeg, write_image_set


@pytest.fixture
def image_set(tmp_path: Path) -> Callable[..., Path]:
    """Store plain pictures as an image set, as the downloader does, two in a shard; returns its folder."""

    def store(name: str, ids: Iterable[str], failed: Iterable[str] = (), size: tuple[int, int] = (64, 48)) -> Path:
        folder = tmp_path / "images" / name
        content = jpeg(np.full((24, 32, 3), (200, 30, 30), dtype=np.uint8))
        ids = sorted(ids)
        # Inside a tar the order is that of arrival, not of the ids.
        shards = [dict.fromkeys(reversed(ids[start : start + 2]), content) for start in range(0, len(ids), 2)]
        write_image_set(folder, shards, name)
        rows = [
            {"id": image_id, "shard": f"{number:05d}", "url": f"http://h/{image_id}.jpg", "sha256": "0" * 64}
            for number, pictures in enumerate(shards)
            for image_id in pictures
        ]
        for row in rows:
            row |= {"width": 32, "height": 24, "original_width": size[0], "original_height": size[1]}
        pq.write_table(pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"])), folder / "images.parquet")
        lost = [{"id": key, "url": "http://h", "reason": "404 not found", "error_message": ""} for key in failed]
        schema = pa.schema([(key, pa.string()) for key in ("id", "url", "reason", "error_message")])
        pq.write_table(pa.Table.from_pylist(lost, schema=schema), folder / "failures.parquet")
        return folder

    return store


@pytest.fixture
def annotations(tmp_path: Path) -> Callable[..., Path]:
    """Write annotation files (text, bytes or JSON) into one folder and return it."""

    def write(name: str, files: dict) -> Path:
        folder = tmp_path / "annotations" / name
        for file_name, content in files.items():
            path = folder / file_name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return folder

    return write
