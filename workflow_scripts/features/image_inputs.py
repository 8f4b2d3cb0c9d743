"""What the system is given of an image: its query output from the cache, or its pixels for a feature extractor."""

import os
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workflow_scripts.data.shards import ImageSet, decode_picture, index_shard, list_shards
from workflow_scripts.features.store import FeatureStores
from workflow_scripts.models.online_features import needs_pictures

if TYPE_CHECKING:
    from workflow_scripts.models.feature_extractor import FeatureExtractor

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
                places = index_shard(path)
                found |= {image_set.key(name): number * _SPAN + offset for name, (offset, _) in places.items()}
            if len(found) - before != image_set.manifest["count"]:
                raise ValueError(
                    f"The shards of {image_set.folder} hold {len(found) - before} pictures, its manifest counts "
                    f"{image_set.manifest['count']}; download the image set again."
                )
        return found

    def _read(self, row: int) -> Tensor:
        number, offset = divmod(row, _SPAN)
        path = self._shards[number]
        with open(path, "rb") as shard:
            shard.seek(offset - tarfile.BLOCKSIZE)
            header = tarfile.TarInfo.frombuf(shard.read(tarfile.BLOCKSIZE), "utf-8", "strict")
            content = shard.read(header.size)
        return self._transform(decode_picture(content, path, header.name))


ImageInputs = CachedFeatures | Pixels


def open_cached(stores: Sequence[Path], adaptor: Path | None, instead: str) -> CachedFeatures:
    """Open feature stores for an adaptor, or for one that is still to be trained.

    Args:
        instead: what to do where the adaptor was not trained on cached features, which is a ValueError.
    """
    if adaptor is not None and needs_pictures(adaptor):
        raise ValueError(
            f"{adaptor} was trained behind a Q-Former of its own, or one that is given the query: cached features "
            f"are of another; {instead}."
        )
    return CachedFeatures.open(stores)


def open_pixels(folders: Sequence[Path], extractor: Path, device: str) -> "tuple[Pixels, FeatureExtractor]":
    """Open image sets, and the feature extractor that their pixels are for."""
    from workflow_scripts.models.feature_extractor import load_feature_extractor  # LAVIS, which takes seconds

    loaded = load_feature_extractor(extractor, device=device)
    return Pixels(folders, loaded.transform), loaded
