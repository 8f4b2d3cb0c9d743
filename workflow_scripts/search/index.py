"""The search index: the 32 projected queries of every picture, memory-mapped, with thumbnails.

Files: `image_projection.npy` [N, Q, P] float16, `items.jsonl` (a line a picture), `thumbnails.bin` (JPEGs, one behind
the other; items know where) and `index.json`, which is written last. In shapes: N pictures, Q queries, P projection
width, C texts.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_scripts.command_line import read_json

if TYPE_CHECKING:
    import torch

    from workflow_scripts.models.feature_extractor import FeatureExtractor

CHECKPOINT = "blip2_qformer.pth"
_PICTURES_AT_ONCE = 2048


@dataclass(frozen=True)
class Hit:
    """One picture of a result: its place from 1 on, its score and its line of the index."""

    rank: int
    score: float
    row: int
    id: str


class Index:
    """An index that was built before, opened for search."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "index.json").exists():
            raise ValueError(
                f"{self.folder} is not a search index (it has no index.json); build one with "
                "`python -m workflow_scripts.search.build --images FOLDER --feature-extractor FOLDER --output INDEX`."
            )
        self.manifest: dict[str, Any] = read_json(self.folder / "index.json")
        try:
            self.projection = np.load(self.folder / "image_projection.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ValueError(f"The embeddings of {self.folder} cannot be read ({error}); build it again.") from error
        if len(self.projection) != self.manifest["count"]:
            raise ValueError(
                f"{self.folder} should hold {self.manifest['count']} pictures and holds {len(self.projection)}; "
                "build it again."
            )

    def __len__(self) -> int:
        return len(self.projection)

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """The line of each picture [N]: id, file, width, height, where its thumbnail is."""
        with open(self.folder / "items.jsonl", encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    def thumbnail(self, row: int) -> bytes:
        """A picture's thumbnail as JPEG."""
        item = self.items[row]
        with open(self.folder / "thumbnails.bin", "rb") as stream:
            stream.seek(item["thumbnail_offset"])
            return stream.read(item["thumbnail_bytes"])

    def scores(self, texts: np.ndarray) -> np.ndarray:
        """Exact scores [C, N] of text embeddings [C, P]."""
        import torch

        queries = torch.from_numpy(np.ascontiguousarray(texts, dtype=np.float32))
        blocks = [
            score_images(self.projection[start : start + _PICTURES_AT_ONCE], queries)
            for start in range(0, len(self), _PICTURES_AT_ONCE)
        ]
        return torch.cat(blocks, dim=1).numpy()

    def search(self, texts: np.ndarray, top: int) -> list[list[Hit]]:
        """The best pictures for each text embedding [C, P], best first, equal scores in the order of the index."""
        top = min(top, len(self))
        results = []
        for row in self.scores(texts):
            best = np.argpartition(-row, top - 1)[:top]
            # All that tie with the last one take part, so that the order of the index decides among equals.
            best = np.flatnonzero(row >= row[best].min())
            best = best[np.lexsort((best, -row[best]))][:top]
            results.append(
                [
                    Hit(rank, float(row[position]), int(position), self.items[position]["id"])
                    for rank, position in enumerate(best, start=1)
                ]
            )
        return results


def score_images(projection: np.ndarray, queries: "torch.Tensor") -> "torch.Tensor":
    """BLIP-2's ITC score [C, N]: the best of the Q projected queries [N, Q, P] for each text embedding [C, P]."""
    import torch

    count, positions, width = projection.shape
    pictures = torch.from_numpy(np.array(projection)).float().reshape(count * positions, width)
    return (queries.float() @ pictures.T).reshape(len(queries), count, positions).amax(dim=2)


def embed_texts(extractor: "FeatureExtractor", texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
    """Text embeddings [C, P] float32 of a feature extractor."""
    import torch

    with torch.inference_mode():
        blocks = [
            torch.as_tensor(extractor.embed_texts(list(texts[start : start + batch_size]))).float().cpu()
            for start in range(0, len(texts), batch_size)
        ]
    return torch.cat(blocks).numpy()


def newest_index(results: Path) -> Path:
    """The index that was built last under a results folder."""
    found = [*results.glob("*/search/*/index.json"), *results.glob("*/search/index.json")]
    if not found:
        raise ValueError(
            f"There is no search index under {results}/; run `make reproduce`, or build one with "
            "`python -m workflow_scripts.search.build` and name it with --index."
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, str(path))).parent
