"""The feature store: query output and image projection of every image of an image set, computed once, read at random.

One pair of `.npy` files (float16, memory-mapped) for each shard of images, `keys.json` with the image keys in the order
of rows, and `manifest.json`, which is written last.
In shapes: N images, B batch, Q queries, D width, P projection width.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from workflow_scripts.check_alike import check_alike
from workflow_scripts.command_line import read_json, write_atomically, write_json
from workflow_scripts.digests import Distinct, Rows
from workflow_scripts.features.map_array import map_array, read_ahead
from workflow_scripts.identity import sha256_of_file

KINDS = ("query_output", "image_projection")
log = logging.getLogger(__name__)


class FeatureWriter:
    """Writes a feature store shard by shard; shards that an interrupted run finished are kept.

    Args:
        directory: folder of the store.
        definition: what the features follow from (image set, checksums of its manifest and of the extractor,
            transform); shards that an earlier run left there under another definition are thrown away.
    """

    def __init__(self, directory: Path, definition: Mapping[str, Any]) -> None:
        self.directory = Path(directory)
        self.definition = dict(definition)
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "manifest.json").unlink(missing_ok=True)
        started = self.directory / "definition.json"
        if not started.exists() or read_json(started) != self.definition:
            for old in [*self.directory.glob("*.npy"), *self.directory.glob("shards/*.json")]:
                old.unlink()
            write_json(started, self.definition)
        # Without the keys, which are millions together: these stay in the files of `shards`.
        self._shards: dict[int, dict[str, Any]] = {}
        for path in sorted((self.directory / "shards").glob("*.json")):
            record = read_json(path)
            if all(_is_intact(self.directory, file) for file in record["files"]):
                del record["keys"]
                self._shards[int(path.stem)] = record
            else:
                log.warning("shard %s of %s is damaged and computed again", path.stem, self.directory)
                path.unlink()

    def has_shard(self, index: int) -> bool:
        """Whether a shard was finished, now or by an earlier run."""
        return index in self._shards

    @property
    def count(self) -> int:
        """Images whose features are there."""
        return sum(shard["files"][0]["rows"] for shard in self._shards.values())

    def write_shard(
        self, index: int, keys: Sequence[str], query_output: np.ndarray, image_projection: np.ndarray
    ) -> None:
        """Write the features of a shard's images: keys [N], query output [N, Q, D] and projection [N, Q, P]."""
        files = []
        for kind, array in zip(KINDS, (query_output, image_projection), strict=True):
            if len(array) != len(keys) or array.ndim != 3:
                raise ValueError(f"{kind} has shape {array.shape}, but there are {len(keys)} keys.")
            with np.errstate(over="ignore"):  # said below, with the image's name
                half = array.astype(np.float16)
            broken = np.flatnonzero(~np.isfinite(half).all(axis=(1, 2)))
            if len(broken):
                raise ValueError(
                    f"The feature extractor gave values of {keys[broken[0]]} (and {len(broken) - 1} more images) that "
                    "float16 cannot hold; look at that image and at the extractor's checkpoint."
                )
            buffer = io.BytesIO()
            np.save(buffer, half)
            name = f"{kind}-{index:05d}.npy"
            data = buffer.getbuffer()
            write_atomically(self.directory / name, data)
            files.append({"file": name, "sha256": hashlib.sha256(data).hexdigest(), "rows": len(keys)})
        shape = {"queries": query_output.shape[1], "width": query_output.shape[2]}
        shape["projection_width"] = image_projection.shape[2]
        write_json(self._record(index), {"files": files, "keys": list(keys), **shape})
        self._shards[index] = {"files": files, **shape}

    def finish(self) -> dict[str, Any]:
        """Write keys and manifest over all shards and return the manifest."""
        if not self.count:
            raise ValueError(f"{self.definition.get('image_set', self.directory)} holds no image; features need one.")
        if self._write_keys() != self.count:
            raise ValueError(f"{self.definition.get('image_set')} holds the same image key in two shards.")
        shards = [self._shards[index] for index in sorted(self._shards)]
        manifest = {
            **self.definition,
            "count": self.count,
            **{name: shards[0][name] for name in ("queries", "width", "projection_width")},
            "dtype": "float16",
            "keys_sha256": sha256_of_file(self.directory / "keys.json"),
            "shards": [file for shard in shards for file in shard["files"]],
        }
        write_json(self.directory / "manifest.json", manifest)
        return manifest

    def _record(self, index: int) -> Path:
        return self.directory / "shards" / f"{index:05d}.json"

    def _write_keys(self) -> int:
        """Write keys.json, a key a line, from the shards' own files; returns how many keys differ."""
        different = Distinct()
        temporary = self.directory / ".keys.json.part"
        with open(temporary, "w", encoding="utf-8") as stream:
            before = "[\n"
            for index in sorted(self._shards):
                keys = read_json(self._record(index))["keys"]
                different.add(keys)
                for key in keys:
                    stream.write(f"{before}{json.dumps(key)}")
                    before = ",\n"
            stream.write("\n]\n")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.directory / "keys.json")
        return different.count()


class FeatureStores:
    """Features of several image sets behind one set of keys, read from memory-mapped files on demand."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = [Path(directory) for directory in directories]
        if not self.directories:
            raise ValueError("No feature store was named.")
        self.manifests = [_read_manifest(directory) for directory in self.directories]
        first = self.manifests[0]
        compared = ("extractor_sha256", "queries", "width", "projection_width")
        otherwise = "they are of different feature extractors; extract one of them anew"
        check_alike(self.directories, self.manifests, compared, otherwise)
        self.extractor_sha256: str = first["extractor_sha256"]
        self.queries: int = first["queries"]
        self.width: int = first["width"]
        self.projection_width: int = first["projection_width"]
        self._arrays: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
        for directory, manifest in zip(self.directories, self.manifests, strict=True):
            for kind, last in zip(KINDS, (self.width, self.projection_width), strict=True):
                shards = [shard for shard in manifest["shards"] if shard["file"].startswith(kind)]
                for shard in shards:
                    shape = (shard["rows"], self.queries, last)
                    array = map_array(directory / shard["file"], shape, "extract the features anew")
                    self._arrays[kind].append(array)
        self._starts = np.cumsum([0, *(len(array) for array in self._arrays["query_output"])])
        self._keys: list[str] | None = None
        self._rows: Rows | None = None

    @classmethod
    def open(cls, directories: Sequence[Path]) -> Self:
        """Open several stores as one; stores of different extractors are an error."""
        return cls(directories)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def keys(self) -> list[str]:
        """All image keys, in the order of rows."""
        if self._keys is None:
            self._keys = list(self._read_keys())
        return self._keys

    def locate(self, keys: Sequence[str]) -> np.ndarray:
        """Return the rows [B] of image keys; a key without features is an error that names it."""
        if self._rows is None:
            self._rows = Rows(self._read_keys())
        rows = self._rows.find(keys)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            more = f" and {len(missing) - 1} more" if missing[1:].size else ""
            raise ValueError(
                f"There are no features of {keys[missing[0]]}{more} in "
                f"{', '.join(map(str, self.directories))}; extract the features of its image set, or name its store."
            )
        return rows

    def _read_keys(self) -> Iterator[str]:
        """Yield all image keys in the order of rows, one after the other."""
        for directory, manifest in zip(self.directories, self.manifests, strict=True):
            path, count = directory / "keys.json", 0
            for key in _keys_in(path):
                count += 1
                yield key
            if count != manifest["count"]:
                raise ValueError(
                    f"{path} has {count} keys, its manifest counts {manifest['count']}; extract the features anew."
                )

    def query_output(self, keys: Sequence[str]) -> np.ndarray:
        """Return the query output [B, Q, D] float32 of image keys."""
        return self.query_output_at(self.locate(keys))

    def image_projection(self, keys: Sequence[str]) -> np.ndarray:
        """Return the image projection [B, Q, P] float32 of image keys, unit length along P up to float16's rounding."""
        return self.image_projection_at(self.locate(keys))

    def query_output_at(self, rows: np.ndarray) -> np.ndarray:
        """Return the query output [B, Q, D] float32 of rows."""
        return self._gather("query_output", rows)

    def image_projection_at(self, rows: np.ndarray) -> np.ndarray:
        """Return the image projection [B, Q, P] float32 of rows."""
        return self._gather("image_projection", rows)

    def verify(self) -> None:
        """Compare all files with their checksums; a damaged one is an error that names it."""
        for directory, manifest in zip(self.directories, self.manifests, strict=True):
            for shard in [*manifest["shards"], {"file": "keys.json", "sha256": manifest["keys_sha256"]}]:
                if not _is_intact(directory, shard):
                    raise ValueError(
                        f"{directory / shard['file']} is damaged (its checksum is not the manifest's); delete "
                        f"{directory / 'manifest.json'} and extract the features anew."
                    )

    def _gather(self, kind: str, rows: np.ndarray) -> np.ndarray:
        arrays = self._arrays[kind]
        result = np.empty((len(rows), *arrays[0].shape[1:]), dtype=np.float32)
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        places = {shard: np.flatnonzero(shards == shard) for shard in np.unique(shards).tolist()}
        for shard, chosen in places.items():
            read_ahead(arrays[shard], rows[chosen] - self._starts[shard])
        for shard, chosen in places.items():
            result[chosen] = arrays[shard][rows[chosen] - self._starts[shard]]
        return result


class FeatureStore(FeatureStores):
    """Features of one image set."""

    @classmethod
    def open(cls, directory: Path) -> Self:  # type: ignore[override]
        """Open the store of one image set."""
        return cls([directory])


def _read_manifest(directory: Path) -> dict[str, Any]:
    if not (directory / "manifest.json").is_file():
        raise ValueError(f"{directory} is no finished feature store (manifest.json is missing); extract the features.")
    return read_json(directory / "manifest.json")


def _keys_in(path: Path) -> Iterator[str]:
    """Yield the keys of keys.json, which has one in a line (older stores: all), without holding them all."""
    try:
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                text = line.strip().removesuffix(",")
                if text not in ("", "[", "]"):
                    found = json.loads(text)
                    yield from found if isinstance(found, list) else [found]
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; extract the features anew.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); extract the features anew.") from error


def _is_intact(directory: Path, shard: Mapping[str, Any]) -> bool:
    path = directory / shard["file"]
    return path.is_file() and sha256_of_file(path) == shard["sha256"]
