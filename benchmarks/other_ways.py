"""Other ways to find the best pictures, each as a function from a text embedding [P] to rows, best first.

In shapes: N pictures, Q queries, P projection width.
"""

import time
from collections.abc import Callable

import faiss
import numpy as np

Way = Callable[[np.ndarray], np.ndarray]


def the_reports_method(embeddings: np.ndarray, top: int, queries: int | None = None) -> Way:
    """Dot products with every embedding, the best of each picture, and a full sort, in numpy.

    Embeddings are [N, Q, P]; or [N * Q, P] with `queries`, which lets numpy use one multiplication in place of N.
    """

    def way(text: np.ndarray) -> np.ndarray:
        scores = embeddings @ text
        if queries is not None:
            scores = scores.reshape(-1, queries)
        return np.argsort(-scores.max(axis=1), kind="stable")[:top]

    return way


def flat_index(embeddings: np.ndarray, top: int) -> Way:
    """faiss's plain IndexFlatIP over all vectors of embeddings [N, Q, P], asked for more until there are enough."""
    queries, width = embeddings.shape[1:]
    index = faiss.IndexFlatIP(width)
    index.add(embeddings.reshape(-1, width))

    def way(text: np.ndarray) -> np.ndarray:
        wanted = 4 * top
        while True:
            _, rows = index.search(text[None], wanted)
            pictures, first = np.unique(rows[0] // queries, return_index=True)
            if len(pictures) >= top:
                return pictures[np.argsort(first)][:top]
            wanted *= 4

    return way


def clip_retrieval(projection: np.ndarray, top: int, block: int = 2000) -> tuple[Way, dict[str, float]]:
    """clip-retrieval's approach: one vector a picture (here the mean of its queries) in an inverted file of product
    codes, whose own order is the result; with seconds to build it and its bytes."""
    start = time.perf_counter()
    means = np.concatenate(
        [projection[i : i + block].astype(np.float32).mean(axis=1) for i in range(0, len(projection), block)]
    )
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    lists = 2 ** round(np.log2(np.sqrt(len(means))))
    index = faiss.index_factory(means.shape[1], f"IVF{lists},PQ64x8", faiss.METRIC_INNER_PRODUCT)
    sample = np.random.default_rng(0).permutation(len(means))[: max(40 * lists, 10_000)]
    index.train(means[sample])
    index.add(means)
    index.nprobe = max(1, lists // 8)
    costs = {"build_seconds": time.perf_counter() - start, "index_gb": len(faiss.serialize_index(index)) / 1e9}
    return lambda text: index.search(text[None], top)[1][0], costs
