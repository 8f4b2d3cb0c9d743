"""Image sets in the downloader's form, of pictures that a test makes."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def jpeg(pixels: np.ndarray) -> bytes:
    """The file of a picture of pixels [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def noise(ids: Sequence[str], generator: np.random.Generator, height: int, width: int) -> dict[str, bytes]:
    """Pictures by id, each of other pixels."""
    return {name: jpeg(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)) for name in ids}


def write_shard(path: Path, pictures: Mapping[str, bytes]) -> None:
    """Write the files of pictures by id as a webdataset shard, in their order."""
    with tarfile.open(path, "w") as tar:
        for position, (image_id, content) in enumerate(pictures.items()):
            for ending, data in (("jpg", content), ("json", json.dumps({"id": image_id}).encode())):
                entry = tarfile.TarInfo(f"{position:09d}.{ending}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


def write_image_set(folder: Path, shards: Sequence[Mapping[str, bytes]], name: str = "set") -> Path:
    """Write shards of pictures by id and the manifest that names them; returns the folder."""
    (folder / "shards").mkdir(parents=True)
    names = [f"{number:05d}" for number in range(len(shards))]
    for shard, pictures in zip(names, shards, strict=True):
        write_shard(folder / "shards" / f"{shard}.tar", pictures)
    manifest = {"image_set": name, "count": sum(map(len, shards)), "shards": names}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
