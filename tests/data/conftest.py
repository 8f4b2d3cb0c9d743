import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def image_set(tmp_path: Path) -> Callable[..., Path]:
    """Store plain pictures as an image set, as the downloader does, two in a shard; returns its folder."""

    def store(name: str, ids: Iterable[str], failed: Iterable[str] = (), size: tuple[int, int] = (64, 48)) -> Path:
        folder = tmp_path / "images" / name
        (folder / "shards").mkdir(parents=True)
        stream = io.BytesIO()
        Image.new("RGB", (32, 24), (200, 30, 30)).save(stream, "JPEG")
        ids = sorted(ids)
        rows = []
        for number in range(0, len(ids), 2):
            shard = f"{number // 2:05d}"
            with tarfile.open(folder / "shards" / f"{shard}.tar", "w") as tar:
                # Inside a tar the order is that of arrival, not of the ids.
                for position, image_id in reversed(list(enumerate(ids[number : number + 2]))):
                    key = f"{number + position:09d}"
                    add(tar, f"{key}.jpg", stream.getvalue())
                    add(tar, f"{key}.json", json.dumps({"id": image_id, "key": key}).encode())
                    rows.append({"id": image_id, "shard": shard, "url": f"http://h/{image_id}.jpg", "sha256": "0" * 64})
        for row in rows:
            row |= {"width": 32, "height": 24, "original_width": size[0], "original_height": size[1]}
        pq.write_table(pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"])), folder / "images.parquet")
        lost = [{"id": key, "url": "http://h", "reason": "404 not found", "error_message": ""} for key in failed]
        schema = pa.schema([(key, pa.string()) for key in ("id", "url", "reason", "error_message")])
        pq.write_table(pa.Table.from_pylist(lost, schema=schema), folder / "failures.parquet")
        manifest = {"image_set": name, "count": len(ids), "shards": sorted({row["shard"] for row in rows})}
        (folder / "manifest.json").write_text(json.dumps(manifest))
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
