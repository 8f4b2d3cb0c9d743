"""Candidates for a search among many pictures: a compressed copy of all projected queries, scanned by faiss.

Every vector is kept in half a byte for four dimensions (product quantisation, Jégou et al. 2011; scanned in registers,
André et al. 2015), which is good enough to say what may be best; `Index` scores that exactly. Above a few million
vectors they also lie in inverted lists, of which a search visits some. In shapes: V vectors, P projection width,
K query vectors, R rows.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import faiss

# It tells of each of its builds that it tries.
logging.getLogger("faiss.loader").setLevel(logging.ERROR)

FILE = "candidates.faiss"
_DIMENSIONS_A_CODE = 4
_FLAT_UP_TO = 4_000_000  # vectors; below, visiting all of them takes a few milliseconds
_SAMPLE = 65_536  # vectors that the codes are learned from
_COARSE_WIDTH = 64  # principal components that decide on the list of a vector
_VISITED = 4  # one in so many lists
_VECTORS_AT_ONCE = 65_536
_PICTURES_OF_SAMPLE = 8192


def can_compress(width: int) -> bool:
    """Whether vectors of that width can be cut into codes."""
    return width % _DIMENSIONS_A_CODE == 0


class Candidates:
    """The compressed vectors of an index, ready to be searched."""

    def __init__(self, index: "faiss.Index") -> None:
        self._index = index

    @property
    def depth(self) -> int:
        """How many vectors to take: more where their order is coarser and reading the originals is cheap."""
        return 2000 if self._index.ntotal <= _FLAT_UP_TO else 1000

    def best(self, vectors: np.ndarray, depth: int) -> np.ndarray:
        """Rows [K, R] of the vectors that seem to have the greatest dot products with vectors [K, P]; -1 is none."""
        return self._index.search(np.ascontiguousarray(vectors, dtype=np.float32), depth)[1]

    def write(self, path: Path) -> None:
        """Write to a file that `read_candidates` reads."""
        import faiss

        faiss.write_index(self._index, str(path))


def build_candidates(projection: np.ndarray, seed: int = 0) -> Candidates:
    """Compress projections [N, Q, P], which may be a memory map: they are read once, block by block."""
    import faiss

    queries, width = projection.shape[1:]
    count = projection.shape[0] * queries
    sample = _sample(projection, np.random.default_rng(seed))
    codes = width // _DIMENSIONS_A_CODE
    if count <= _FLAT_UP_TO:
        index = faiss.IndexPQFastScan(width, codes, 4, faiss.METRIC_INNER_PRODUCT)
    else:
        lists = 2 ** round(np.log2(np.sqrt(count) / 4))
        coarse, centroids = _coarse_quantiser(sample, lists, seed)
        index = faiss.IndexIVFPQFastScan(coarse, width, lists, codes, 4, faiss.METRIC_INNER_PRODUCT)
        coarse.this.disown()  # the index owns it
        index.own_fields = True
        index.quantizer_trains_alone = 1
        index.by_residual = True
        index.nprobe = lists // _VISITED
    index.train(sample)
    for block in _blocks(projection):
        index.add(block)
    if count > _FLAT_UP_TO:
        # Vectors belong to the nearest centroid; what is looked for visits those with the greatest dot products.
        centroids.metric_type = faiss.METRIC_INNER_PRODUCT
    return Candidates(index)


def read_candidates(path: Path) -> Candidates | None:
    """The candidates that an index has beside it, if it has; ValueError where they cannot be read."""
    if not path.is_file():
        return None
    import faiss

    try:
        return Candidates(faiss.read_index(str(path)))
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read ({str(error).splitlines()[0]}); build the index again.") from error


def _coarse_quantiser(sample: np.ndarray, lists: int, seed: int) -> "tuple[faiss.Index, faiss.IndexFlat]":
    """Assigns vectors to lists, in fewer dimensions, since every one is compared with all centroids; and these."""
    import faiss

    width = sample.shape[1]
    small = min(_COARSE_WIDTH, width)
    principal = faiss.PCAMatrix(width, small)
    principal.train(sample)
    principal.have_bias = False  # a dot product with a centroid is then that with what the centroid stands for
    means = faiss.Kmeans(small, lists, niter=8, seed=seed, max_points_per_centroid=_SAMPLE // lists + 1)
    means.cp.min_points_per_centroid = 1
    means.train(principal.apply(sample))
    centroids = faiss.IndexFlat(small, faiss.METRIC_L2)
    centroids.add(means.centroids)
    coarse = faiss.IndexPreTransform(principal, centroids)
    principal.this.disown()
    centroids.this.disown()
    coarse.own_fields = True
    return coarse, centroids


def _sample(projection: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Vectors [S, P] float32 of pictures that are drawn, all queries among them."""
    pictures = np.sort(generator.permutation(len(projection))[:_PICTURES_OF_SAMPLE])
    vectors = projection[pictures].reshape(-1, projection.shape[2])
    return vectors[generator.permutation(len(vectors))[:_SAMPLE]].astype(np.float32)


def _blocks(projection: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, _VECTORS_AT_ONCE // projection.shape[1])
    for start in range(0, len(projection), step):
        yield projection[start : start + step].reshape(-1, projection.shape[2]).astype(np.float32)
