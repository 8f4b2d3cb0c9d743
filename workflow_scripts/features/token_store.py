"""The frozen vision encoder's tokens of every picture of an image set, computed once, read at random.

One float16 `.npy` file (memory-mapped) for each shard of pictures, and `manifest.json`, which is written last and
names the keys. In shapes: N pictures, B batch, T tokens, D width.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from workflow_scripts.command_line import read_json, write_atomically, write_json
from workflow_scripts.features.map_array import map_array
from workflow_scripts.identity import sha256_of_file

MANIFEST = "manifest.json"


class TokenWriter:
    """Writes tokens shard by shard; whole shards that an interrupted run of the same definition left are kept."""

    def __init__(self, folder: Path, definition: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.definition = dict(definition)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / MANIFEST).unlink(missing_ok=True)
        self._shards: dict[int, dict[str, Any]] = {}
        for path in sorted(self.folder.glob("shard-*.json")):
            shard = read_json(path)
            whole = self.folder / shard["file"]
            same = shard["definition"] == self.definition and whole.is_file()
            if same and sha256_of_file(whole) == shard["sha256"]:
                self._shards[int(path.stem.removeprefix("shard-"))] = shard
            else:
                path.unlink()

    def has_shard(self, index: int) -> bool:
        """Whether a shard is there, from now or from an earlier run."""
        return index in self._shards

    @property
    def count(self) -> int:
        """Pictures whose tokens are there."""
        return sum(len(shard["keys"]) for shard in self._shards.values())

    def write_shard(self, index: int, keys: Sequence[str], tokens: np.ndarray) -> None:
        """Write the tokens [N, T, D] of a shard's pictures."""
        assert len(keys) == len(tokens), "every picture of a shard has tokens"
        half = tokens.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"The vision encoder gave values in {keys[0]}'s shard that float16 cannot hold.")
        buffer = io.BytesIO()
        np.save(buffer, half)
        name, data = f"tokens-{index:05d}.npy", buffer.getbuffer()
        write_atomically(self.folder / name, data)
        digest = hashlib.sha256(data).hexdigest()
        shard = {"file": name, "sha256": digest, "keys": list(keys), "shape": list(tokens.shape[1:])}
        self._shards[index] = {**shard, "definition": self.definition}
        write_json(self.folder / f"shard-{index:05d}.json", self._shards[index])

    def finish(self) -> dict[str, Any]:
        """Write the manifest over all shards and return it."""
        shards = [self._shards[index] for index in sorted(self._shards)]
        keys = [key for shard in shards for key in shard["keys"]]
        if not keys:
            raise ValueError(f"{self.definition.get('image_set', self.folder)} holds no picture to encode.")
        files = [{"file": shard["file"], "sha256": shard["sha256"], "rows": len(shard["keys"])} for shard in shards]
        manifest = {**self.definition, "count": len(keys), "shape": shards[0]["shape"], "files": files, "keys": keys}
        write_json(self.folder / MANIFEST, manifest)
        return manifest


class TokenStores:
    """Tokens of several image sets behind one set of keys."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.keys: list[str] = []
        self.manifests: list[dict[str, Any]] = []
        self._arrays: list[np.ndarray] = []
        for folder in map(Path, folders):
            if not (folder / MANIFEST).is_file():
                raise ValueError(f"{folder} holds no finished tokens ({MANIFEST} is missing); run encode_images.")
            manifest = read_json(folder / MANIFEST)
            if self.manifests and manifest["encoder_sha256"] != self.manifests[0]["encoder_sha256"]:
                raise ValueError(
                    f"{folder} and {folders[0]} are of different vision encoders; encode one of them anew."
                )
            self.manifests.append(manifest)
            self.keys += manifest["keys"]
            for file in manifest["files"]:
                shape = (file["rows"], *manifest["shape"])
                array = map_array(folder / file["file"], shape, "delete its manifest and encode the pictures anew")
                self._arrays.append(array)
        self._starts = np.cumsum([0, *(len(array) for array in self._arrays)])
        self.rows = {key: row for row, key in enumerate(self.keys)}

    @classmethod
    def open(cls, *folders: Path) -> Self:
        """Open the tokens of one or more image sets; ValueError where one is unfinished, damaged or of another
        encoder."""
        return cls(folders)

    @property
    def encoder_sha256(self) -> str:
        """Checksum of the encoder's weights."""
        return self.manifests[0]["encoder_sha256"]

    def at(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the tokens [B, T, D] float32 of rows."""
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        return np.stack(
            [self._arrays[shard][row - self._starts[shard]] for shard, row in zip(shards, rows, strict=True)]
        ).astype(np.float32)

    def locate(self, keys: Sequence[str]) -> np.ndarray:
        """Return the rows of picture keys; ValueError for one without tokens."""
        missing = [key for key in keys if key not in self.rows]
        if missing:
            raise ValueError(f"There are no tokens of {missing[0]} and {len(missing) - 1} more; encode its image set.")
        return np.array([self.rows[key] for key in keys])

    def means(self, batch_size: int = 512) -> np.ndarray:
        """Return the mean token of every picture, [N, D] float32, in the order of the keys."""
        parts = [
            range(start, min(start + batch_size, len(self.keys))) for start in range(0, len(self.keys), batch_size)
        ]
        return np.concatenate([self.at(np.array(part)).mean(1) for part in parts])
