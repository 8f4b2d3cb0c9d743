"""Read image sets: webdataset shards with `<key>.jpg` and `<key>.json`, whose `id` is ours."""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from workflow_scripts.command_line import read_json
from workflow_scripts.files.images import ImageError, open_image
from workflow_scripts.files.tar_members import iterate_members, split_name

# The table of an image set's pictures that were stored without their metadata, and why; there only if there are any.
WITHOUT_METADATA = "without_metadata.parquet"


@dataclass(frozen=True)
class ImageSet:
    """A stored image set, by the folder that holds its manifest."""

    folder: Path

    @classmethod
    def open(cls, path: Path) -> "ImageSet":
        """Open a set by its folder or its manifest.json."""
        path = Path(path)
        image_set = cls(path.parent if path.name == "manifest.json" else path)
        _ = image_set.manifest
        return image_set

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The content of manifest.json."""
        return read_json(self.folder / "manifest.json")

    @property
    def name(self) -> str:
        """The name of the set, the first part of its image keys."""
        return self.manifest["image_set"]

    @cached_property
    def images(self) -> dict[str, dict[str, Any]]:
        """Per id: sha256, width, height, original_width, original_height, shard, url."""
        return {row["id"]: row for row in _read_rows(self.folder / "images.parquet")}

    @cached_property
    def failed(self) -> dict[str, str]:
        """Why a picture that was asked for is missing, by id."""
        return {row["id"]: row["reason"] for row in _read_rows(self.folder / "failures.parquet")}

    def key(self, image_id: str) -> str:
        """Return the image key that is used outside of the shards."""
        return f"{self.name}/{image_id}"

    def open_image(self, image_id: str) -> Image.Image:
        """Return one picture by id, RGB; reads the index of its shard once."""
        if image_id not in self.images:
            raise ValueError(f"Image set {self.name} has no picture {image_id!r}.")
        path = self.folder / "shards" / f"{self.images[image_id]['shard']}.tar"
        if path not in self._indices:
            self._indices[path] = index_shard(path)
        offset, size = self._indices[path][image_id]
        with path.open("rb") as stream:
            stream.seek(offset)
            return decode_picture(stream.read(size), path, image_id)

    @cached_property
    def _indices(self) -> dict[Path, dict[str, tuple[int, int]]]:
        return {}


def list_shards(folder: Path) -> list[Path]:
    """Return the shards of an image set that hold pictures, sorted."""
    image_set = ImageSet.open(folder)
    return [image_set.folder / "shards" / f"{name}.tar" for name in image_set.manifest["shards"]]


def iterate_shard(path: Path) -> Iterator[tuple[str, Image.Image, dict[str, Any]]]:
    """Yield (id, RGB picture, metadata) of one shard, sorted by id.

    Raises ValueError, with shard and id, for a picture that does not decode: downloading checked all of them.
    """
    members: dict[str, dict[str, bytes]] = {}
    with _open_shard(path) as tar:
        for key, ending, member in _members(tar):
            members.setdefault(key, {})[ending] = tar.extractfile(member).read()
    samples = []
    for key, parts in members.items():
        if not {"jpg", "json"} <= parts.keys():
            raise ValueError(f"The shard {path} has only a part of sample {key}; download its image set again.")
        meta = json.loads(parts["json"])
        samples.append((str(meta["id"]), parts["jpg"], meta))
    for image_id, content, meta in sorted(samples, key=lambda sample: sample[0]):
        yield image_id, decode_picture(content, path, image_id), meta


def iterate_images(folder: Path) -> Iterator[tuple[str, Image.Image, dict[str, Any]]]:
    """Yield (id, RGB picture, metadata) of an image set, sorted by shard, then id."""
    for path in list_shards(folder):
        yield from iterate_shard(path)


def index_shard(path: Path) -> dict[str, tuple[int, int]]:
    """Return where in a shard the JPEG of each id lies: offset and size in bytes.

    Raises ValueError for a shard that is missing or damaged.
    """
    places: dict[str, tuple[int, int]] = {}
    ids: dict[str, str] = {}
    with _open_shard(path) as tar:
        for key, ending, member in _members(tar):
            if ending == "json":
                ids[key] = str(json.load(tar.extractfile(member))["id"])
            elif ending == "jpg":
                places[key] = (member.offset_data, member.size)
    return {ids[key]: place for key, place in places.items() if key in ids}


def decode_picture(content: bytes, path: Path, name: str) -> Image.Image:
    """Decode a JPEG of a shard, RGB; one that does not decode is a ValueError with its name and the shard."""
    try:
        return open_image(content).image
    except ImageError as error:
        raise ValueError(
            f"Picture {name} in {path} does not decode ({error}); delete the shards folder and download again."
        ) from error


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """Yield key, ending and header of the members of a shard that are of samples, also of one that was packed anew."""
    for name, member in iterate_members(tar):
        key_and_ending = split_name(name)
        if member.isfile() and key_and_ending is not None:
            yield *key_and_ending, member


@contextmanager
def _open_shard(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a shard for reading; one that is missing or damaged is named, also where that shows later."""
    try:
        with tarfile.open(path) as tar:
            yield tar
    except FileNotFoundError:
        raise ValueError(f"The shard {path} does not exist; download its image set again.") from None
    except tarfile.TarError as error:
        raise ValueError(f"The shard {path} is damaged ({error}); delete it and download its set again.") from error


def _read_rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    if not path.is_file():
        raise ValueError(f"{path} does not exist; run the download of its image set again.")
    return pq.read_table(path).to_pylist()
