"""What the system is given of an image: its query output from the cache, or its pixels for a feature extractor."""

import io
import json
import os
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor

from workflow_scripts.data.shards import ImageSet, list_shards
from workflow_scripts.features.store import FeatureStores

# A row of a picture is its address: the number of its shard times this, and where its JPEG begins in the shard.
_SPAN = 2**40
_THREADS = 8


class CachedFeatures(FeatureStores):
    """The query output of images, computed once."""

    def at(self, rows: np.ndarray) -> Tensor:
        """Return the query output [B, Q, D] of rows."""
        return torch.from_numpy(self.query_output_at(rows))

    def of(self, keys: Sequence[str]) -> Tensor:
        """Return the query output [B, Q, D] of image keys."""
        return self.at(self.locate(keys))


class Pixels:
    """The pixels of images, read from the shards of their image sets and decoded when they are asked for.

    Args:
        folders: of the image sets.
        transform: a picture to its pixels [3, H, W], as the feature extractor wants them.
    """

    def __init__(self, folders: Sequence[Path], transform: Callable[[Image.Image], Tensor]) -> None:
        self._sets = [ImageSet.open(folder) for folder in folders]
        self.manifests = [image_set.manifest for image_set in self._sets]
        self._shards = [path for image_set in self._sets for path in list_shards(image_set.folder)]
        self._transform = transform
        self._addresses: dict[str, int] | None = None
        # Decoding leaves Python's lock; the order of what comes back is that of the rows.
        self._pool = ThreadPoolExecutor(min(_THREADS, len(os.sched_getaffinity(0))))

    def locate(self, keys: Sequence[str]) -> np.ndarray:
        """Return the rows [B] of image keys; a key without a picture is an error that names it."""
        if self._addresses is None:
            self._addresses = self._index()
        missing = [key for key in keys if key not in self._addresses]
        if missing:
            raise ValueError(
                f"There is no picture {missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''} in "
                f"{', '.join(str(image_set.folder) for image_set in self._sets)}; name its image set."
            )
        return np.array([self._addresses[key] for key in keys], dtype=np.int64)

    def at(self, rows: np.ndarray) -> Tensor:
        """Return the pixels [B, 3, H, W] of rows."""
        return torch.stack(list(self._pool.map(self._read, rows.tolist())))

    def of(self, keys: Sequence[str]) -> Tensor:
        """Return the pixels [B, 3, H, W] of image keys."""
        return self.at(self.locate(keys))

    def verify(self) -> None:
        """Look for every picture that the manifests count; a shard that lacks one is an error."""
        if self._addresses is None:
            self._addresses = self._index()

    def _index(self) -> dict[str, int]:
        found: dict[str, int] = {}
        shards = iter(enumerate(self._shards))
        for image_set in self._sets:
            before = len(found)
            for number, path in (next(shards) for _ in image_set.manifest["shards"]):
                places = _places(path)
                found |= {image_set.key(name): number * _SPAN + place for name, place in places.items()}
            if len(found) - before != image_set.manifest["count"]:
                raise ValueError(
                    f"The shards of {image_set.folder} hold {len(found) - before} pictures, its manifest counts "
                    f"{image_set.manifest['count']}; download the image set again."
                )
        return found

    def _read(self, row: int) -> Tensor:
        number, place = divmod(row, _SPAN)
        path = self._shards[number]
        with open(path, "rb") as shard:
            shard.seek(place - tarfile.BLOCKSIZE)
            header = tarfile.TarInfo.frombuf(shard.read(tarfile.BLOCKSIZE), "utf-8", "strict")
            content = shard.read(header.size)
        ImageFile.LOAD_TRUNCATED_IMAGES = False  # importing LAVIS sets it, and a cut picture would pass for a whole one
        try:
            picture = Image.open(io.BytesIO(content)).convert("RGB")
        except OSError as error:
            raise ValueError(
                f"{header.name} in {path} does not decode ({error}); delete the shards folder and download again."
            ) from error
        return self._transform(picture)


def _places(path: Path) -> dict[str, int]:
    """Where in a shard the JPEG of each id begins, in bytes."""
    places, names = {}, {}
    try:
        with tarfile.open(path) as shard:
            for member in shard:
                stem, _, ending = member.name.partition(".")
                if ending == "jpg":
                    places[stem] = member.offset_data
                elif ending == "json":
                    names[stem] = str(json.load(shard.extractfile(member))["id"])
    except FileNotFoundError:
        raise ValueError(f"The shard {path} does not exist; download its image set again.") from None
    except tarfile.TarError as error:
        raise ValueError(f"The shard {path} is damaged ({error}); delete it and download its set again.") from error
    return {name: places[stem] for stem, name in names.items() if stem in places}


ImageInputs = CachedFeatures | Pixels
