"""The samples of a training as memory-mapped arrays: every text tokenised once, every image located once."""

import json
import logging
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_scripts.command_line import progress, read_json, write_json
from workflow_scripts.identity import run_id, sha256_of_file

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.features.image_inputs import ImageInputs
    from workflow_scripts.models.online_features import OnlineFeatures
    from workflow_scripts.models.prompt import Prompt

log = logging.getLogger(__name__)
COLUMNS = ("image", "query", "answer", "task", "id")


@dataclass(frozen=True)
class Batch:
    """One batch of a process: images as the model is given them, and token ids before and after the image, and of the
    answer; `texts` are those of the queries for a Q-Former that reads them.

    Where samples share images, `images` holds each once, and `image_of` says which a sample asks about.
    """

    images: "Tensor"
    before: list[list[int]]
    after: list[list[int]]
    answers: list[list[int]]
    image_of: list[int] | None = None
    texts: list[list[int]] | None = None

    @property
    def answer_tokens(self) -> int:
        """Tokens that the loss is taken on, end tokens included."""
        return sum(map(len, self.answers))


class Samples:
    """Token ids and image rows of a samples table, opened from a folder that `prepare_samples` wrote."""

    def __init__(self, folder: Path, table: Path, inputs: "ImageInputs", share_images: bool = False) -> None:
        self.table = table
        self.share_images = share_images
        self.inputs = inputs
        self._ids = np.load(folder / "ids.npy", mmap_mode="r")
        self._bounds = np.load(folder / "bounds.npy", mmap_mode="r")
        self._rows = np.load(folder / "rows.npy", mmap_mode="r")
        self.lengths = np.asarray(self._bounds[:, 3] - self._bounds[:, 0])

    def __len__(self) -> int:
        return len(self._rows)

    def answer_tokens(self, indices: np.ndarray) -> int:
        """Return how many tokens the loss of these samples is taken on."""
        bounds = self._bounds[indices]
        return int((bounds[:, 3] - bounds[:, 2]).sum())

    def image_rows(self, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return the rows of these samples' images in the cache, or where their pictures are."""
        return np.asarray(self._rows[indices])

    def batch(self, indices: np.ndarray) -> Batch:
        """Gather the images and token ids of samples."""
        segments: list[list[list[int]]] = []
        for start, *ends in self._bounds[indices].tolist():
            ids = self._ids[start : ends[-1]].tolist()
            places = [0, *(end - start for end in ends)]
            segments.append([ids[first:last] for first, last in pairwise(places)])
        before, after, answers, *texts = (list(part) for part in zip(*segments, strict=True))
        rows, image_of = self.image_rows(indices), None
        if self.share_images:
            rows, inverse = np.unique(rows, return_inverse=True)
            image_of = inverse.tolist()
        return Batch(self.inputs.at(rows), before, after, answers, image_of, *texts)

    def names(self, indices: Sequence[int]) -> list[str]:
        """Return id and image of samples, maybe none, for messages."""
        table = read_samples(self.table)
        chosen = table.select(["id", "image"]).take(np.array(indices, dtype=np.int64)).to_pylist()
        return [f"{row['id']} (image {row['image']})" for row in chosen]


def prepare_samples(
    folder: Path,
    table: Path,
    inputs: "ImageInputs",
    prompt: "Prompt",
    language_model_sha256: str,
    online: "OnlineFeatures | None" = None,
) -> None:
    """Tokenise a samples table and locate its images, unless the folder holds just that already.

    Raises:
        ValueError: the table is damaged or lacks a column, a sample has an empty answer, an image has no features or
            no picture, or a file of these is damaged.
    """
    fingerprint = {
        "samples": sha256_of_file(table) if table.is_file() else None,
        "features": [run_id(manifest) for manifest in inputs.manifests],
        "language_model": language_model_sha256,
    }
    marker = folder / "prepared.json"
    if marker.exists() and read_json(marker) == fingerprint:
        return
    marker.unlink(missing_ok=True)
    inputs.verify()
    rows = read_samples(table)
    images, queries, answers = (rows.column(name).to_pylist() for name in COLUMNS[:3])
    empty = [index for index, answer in enumerate(answers) if not (answer or "").strip()]
    if empty:
        raise ValueError(
            f"{table} has {len(empty)} samples without an answer (the first is row {empty[0]}, image "
            f"{images[empty[0]]}); there is nothing to learn from them, remove them."
        )
    prefixes: dict[str, tuple[list[int], list[int]]] = {}
    reads_query = online is not None and online.reads_query
    ids = array("i")
    bounds = np.empty((len(answers), 5 if reads_query else 4), dtype=np.int64)
    for index, answer in enumerate(progress(answers, len(answers), "tokenise")):
        query = queries[index] or ""
        if query not in prefixes:
            prefixes[query] = prompt.prefix_ids(query)
        place = [len(ids)]
        text = [online.text_ids(query)] if reads_query else []
        for segment in (*prefixes[query], prompt.answer_ids(answer), *text):
            ids.extend(segment)
            place.append(len(ids))
        bounds[index] = place
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "ids.npy", np.frombuffer(ids, dtype=np.int32))
    np.save(folder / "bounds.npy", bounds)
    np.save(folder / "rows.npy", inputs.locate(images))
    write_json(marker, fingerprint)


def read_samples(path: Path) -> Any:
    """Read a samples table (pyarrow); one that is missing, damaged or lacks a column is a ValueError."""
    import pyarrow
    import pyarrow.parquet

    if not path.is_file():
        raise ValueError(f"{path} does not exist; run the rule that makes the samples first.")
    try:
        names = pyarrow.parquet.read_schema(path).names
        if missing := [name for name in COLUMNS if name not in names]:
            raise ValueError(f"{path} has no column {', '.join(missing)}; make the samples anew.")
        return pyarrow.parquet.read_table(path, columns=list(COLUMNS))
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is not a readable parquet file ({error}); make the samples anew.") from error


def check_manifest(table: Path, manifest_path: Path) -> dict[str, Any]:
    """Return the samples' checksum and count after comparing the table with its manifest."""
    manifest = read_json(manifest_path)
    if not table.is_file():
        raise ValueError(f"{table} does not exist; run the rule that makes the samples first.")
    digest = sha256_of_file(table)
    if manifest.get("sha256") != digest:
        raise ValueError(
            f"{table} is not the table that {manifest_path} describes (their checksums differ); make both anew."
        )
    return {"path": str(table), "sha256": digest, "count": manifest["count"]}


def folder_sha256(folder: Path) -> str:
    """Return one checksum for a folder of model files: of its SHA256SUMS, or else of the checksums of its files."""
    sums = folder / "SHA256SUMS"
    if sums.is_file():
        return sha256_of_file(sums)
    if not folder.is_dir():
        raise ValueError(f"{folder} does not exist; run the rule that makes this model first.")
    files = {path.name: sha256_of_file(path) for path in sorted(folder.iterdir()) if path.is_file()}
    return run_id({"files": json.dumps(files)})
