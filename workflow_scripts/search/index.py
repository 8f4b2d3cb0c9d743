"""The search index: the 32 projected queries of every picture, memory-mapped, with thumbnails.

Files: `image_projection.npy` [N, Q, P] float16, `items.jsonl` (a line a picture), `thumbnails.bin` (JPEGs, one behind
the other; items know where), the text encoder, `candidates.faiss` where there are many pictures, and `index.json`,
which is written last. In shapes: N pictures, Q queries, P projection width, C texts, K vectors of a query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_scripts.command_line import read_json
from workflow_scripts.search.candidates import FILE as CANDIDATES
from workflow_scripts.search.candidates import Candidates, read_candidates
from workflow_scripts.search.half import single
from workflow_scripts.search.lines import Lines
from workflow_scripts.search.queries import Query, best_of_queries, of_text

if TYPE_CHECKING:
    import torch

    from workflow_scripts.models.feature_extractor import FeatureExtractor
    from workflow_scripts.search.text_encoder import TextEncoder

FORMAT = 2  # of an index's files; the first one had no text encoder and did not say so
_PICTURES_AT_ONCE = 2048
_SPARE = 2  # candidates whose every query is scored exactly for each picture that is wanted
_FEWEST = 24
_SHARED = 4  # a query of several vectors takes fewer candidates for each


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
        written = self.manifest.get("format", 1)
        if written != FORMAT:
            raise ValueError(
                f"{self.folder} is a search index of format {written}, this version reads format {FORMAT}. Build it "
                "again: that of a scale by `make reproduce`, any other by `python -m workflow_scripts.search.build`, "
                "as it was built before."
            )
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
    def items(self) -> Lines:
        """The line of each picture [N]: id, file, width, height, where its thumbnail is."""
        return Lines(self.folder / "items.jsonl")

    def thumbnail(self, row: int) -> bytes:
        """A picture's thumbnail as JPEG."""
        item = self.items[row]
        with open(self.folder / "thumbnails.bin", "rb") as stream:
            stream.seek(item["thumbnail_offset"])
            return stream.read(item["thumbnail_bytes"])

    @cached_property
    def candidates(self) -> Candidates | None:
        """The compressed vectors that an index of many pictures has; without them every picture is scored."""
        return read_candidates(self.folder / CANDIDATES)

    def scores(self, texts: np.ndarray) -> np.ndarray:
        """Exact scores [C, N] of text embeddings [C, P]."""
        blocks = [
            best_of_queries(self.projection[start : start + _PICTURES_AT_ONCE], texts)
            for start in range(0, len(self), _PICTURES_AT_ONCE)
        ]
        return np.concatenate(blocks, axis=1)

    def search(self, texts: np.ndarray, top: int, exact: bool = False) -> list[list[Hit]]:
        """The best pictures for each text embedding [C, P], best first, equal scores in the order of the index."""
        return [self.search_for(of_text(text), top, exact) for text in np.asarray(texts)]

    def search_for(self, query: Query, top: int, exact: bool = False) -> list[Hit]:
        """The best pictures for a query, best first, equal scores in the order of the index.

        An index of many pictures scores candidates only, exactly; with `exact` it scores all.
        """
        top = min(top, len(self))
        candidates = None if exact or self.candidates is None else self._candidates(query, top)
        if candidates is None:
            rows, scores = np.arange(len(self)), query.weights @ self.scores(query.vectors)
        else:
            rows, scores = candidates, query.scores(self.projection.view(np.ndarray)[candidates])
        best = np.argpartition(-scores, top - 1)[:top]
        # All that tie with the last one take part, so that the order of the index decides among equals.
        best = np.flatnonzero(scores >= scores[best].min())
        best = best[np.lexsort((rows[best], -scores[best]))][:top]
        return [
            Hit(rank, float(scores[place]), int(rows[place]), self.items[rows[place]]["id"])
            for rank, place in enumerate(best, start=1)
        ]

    def _candidates(self, query: Query, top: int) -> np.ndarray | None:
        """Rows of the pictures that may be among the best, or None where there are too few to choose from."""
        queries, width = self.projection.shape[1:]
        wanted = max(_SPARE * top, _FEWEST)
        vectors = len(query.vectors)
        depth = max(self.candidates.depth, queries * top) // (1 if vectors == 1 else _SHARED)
        if depth * _SPARE > len(self) * queries:
            return None
        found = self.candidates.best(query.vectors, depth)
        originals = self.projection.view(np.ndarray).reshape(-1, width)  # a memory map of numpy's is slow to index
        pictures, place = np.unique(np.maximum(found, 0) // queries, return_inverse=True)
        place = place.reshape(found.shape)
        gained = np.zeros((vectors, len(pictures)), np.float32)
        for number, (rows, vector, weight) in enumerate(zip(found, query.vectors, query.weights, strict=True)):
            kept = rows >= 0
            if not kept.any():
                continue
            scores = np.einsum("rp,p->r", single(originals[rows[kept]]), vector)
            # A picture that was not found for this vector has less than any that was.
            np.maximum.at(gained[number], place[number][kept], weight * (scores - scores.min()))
        if len(pictures) < top:
            return None
        return np.sort(pictures[np.argsort(-gained.sum(axis=0), kind="stable")[:wanted]])


def score_images(projection: np.ndarray, queries: "torch.Tensor") -> "torch.Tensor":
    """BLIP-2's ITC score [C, N], as `best_of_queries`, of text embeddings [C, P] that are a tensor."""
    import torch

    count, positions, width = projection.shape
    pictures = torch.from_numpy(np.array(projection)).float().reshape(count * positions, width)
    return (queries.float() @ pictures.T).reshape(len(queries), count, positions).amax(dim=2)


def embed_texts(extractor: "FeatureExtractor | TextEncoder", texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
    """Text embeddings [C, P] float32 of a feature extractor or its text encoder."""
    blocks = [extractor.embed_texts(list(texts[i : i + batch_size])) for i in range(0, len(texts), batch_size)]
    return np.concatenate([np.asarray(block if isinstance(block, np.ndarray) else block.cpu()) for block in blocks])


def newest_index(results: Path) -> Path:
    """The index that was built last under a results folder."""
    found = [*results.glob("*/search/*/index.json"), *results.glob("*/search/index.json")]
    if not found:
        raise ValueError(
            f"There is no search index under {results}/; run `make reproduce`, or build one with "
            "`python -m workflow_scripts.search.build` and name it with --index."
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, str(path))).parent
