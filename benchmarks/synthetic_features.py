"""Image and text projections with the structure of a first-stage BLIP-2's, in any number, without any model.

Pictures show a few of many concepts, of which some are frequent; each of the 32 queries prefers one of a picture's
concepts, has a mean of its own, and noise; the variance falls off along the 256 dimensions. A text describes some of
the concepts of one picture and lies apart from the pictures, as the two modalities do. `describe` measures what comes
out of it, so that a benchmark can say what it was run on.

In shapes: N pictures, Q queries, P projection width, C texts, S concepts of a picture.
"""

from collections.abc import Iterator

import numpy as np

QUERIES, WIDTH, BLOCK = 32, 256, 2000
_CONCEPTS, _SHOWN, _POOL = 4000, 4, 65_536
_PREFERENCE, _MEAN, _OWN, _NOISE, _GAP, _TEXT_NOISE = 0.54, 0.45, 0.55, 0.6, 0.6, 0.35


class SyntheticFeatures:
    """A world of concepts; block k of its pictures is the same whatever was asked for before."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        generator = np.random.default_rng([seed, 0])
        # Directions of one Gaussian whose variance falls off as a power of the dimension's number.
        deviations = (np.arange(WIDTH) + 8.0) ** -0.6
        self._shape = (np.linalg.qr(generator.normal(size=(WIDTH, WIDTH)))[0] * deviations).T.astype(np.float32)
        self._shape /= np.linalg.norm(self._shape)
        self._concepts = self._draw(generator, _CONCEPTS)
        self._means = self._draw(generator, QUERIES) * _MEAN
        self._pool = self._draw(generator, _POOL)
        self._gap = self._draw(generator, 1) * _GAP
        self._popularity = np.cumsum(1.0 / (np.arange(_CONCEPTS) + 20.0))
        self._popularity /= self._popularity[-1]

    def blocks(self, count: int) -> Iterator[np.ndarray]:
        """Projections [N, Q, P] float16 of length 1, block by block, until there are `count` pictures."""
        for number in range(-(-count // BLOCK)):
            yield self._block(number)[: count - number * BLOCK]

    def projections(self, count: int) -> np.ndarray:
        """Projections [N, Q, P] float16 of the first pictures."""
        return np.concatenate(list(self.blocks(count)))

    def texts(self, count: int, pictures: int) -> np.ndarray:
        """Embeddings [C, P] float32 of length 1 of texts, each about one of the first `pictures` pictures."""
        generator = np.random.default_rng([self._seed, 1])
        described = generator.choice(pictures, count, replace=count > pictures)
        texts = np.empty((count, WIDTH), np.float32)
        for place, picture in enumerate(described):
            shown, weights, _ = self._pictures(int(picture) // BLOCK)
            row = int(picture) % BLOCK
            said = generator.choice(_SHOWN, 2, replace=False)
            texts[place] = (self._concepts[shown[row, said]] * weights[row, said, None]).sum(0)
        texts /= np.linalg.norm(texts, axis=1, keepdims=True)
        return _unit(texts + _TEXT_NOISE * self._draw(generator, count) + self._gap)

    def _draw(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return generator.standard_normal((count, WIDTH), dtype=np.float32) @ self._shape

    def _pictures(self, block: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
        """Concepts [N, S] that the pictures of a block show, their weights [N, S], and the generator of the rest."""
        generator = np.random.default_rng([self._seed, 2, block])
        shown = np.searchsorted(self._popularity, generator.random((BLOCK, _SHOWN)))
        weights = generator.dirichlet(np.full(_SHOWN, 2.0), BLOCK).astype(np.float32)
        return shown, weights, generator

    def _block(self, number: int) -> np.ndarray:
        shown, weights, generator = self._pictures(number)
        concepts = self._concepts[shown]  # [N, S, P]
        gist = np.einsum("ns,nsp->np", weights, concepts) + _OWN * self._pool[generator.integers(_POOL, size=BLOCK)]
        preferred = generator.integers(_SHOWN, size=(BLOCK, QUERIES))
        result = np.empty((BLOCK, QUERIES, WIDTH), np.float16)
        for query in range(QUERIES):
            vectors = self._pool[generator.integers(_POOL, size=BLOCK)] * np.float32(_NOISE)
            vectors += np.float32(_PREFERENCE) * concepts[np.arange(BLOCK), preferred[:, query]]
            vectors += gist
            vectors += self._means[query]
            vectors /= np.sqrt(np.einsum("np,np->n", vectors, vectors))[:, None]
            result[:, query] = vectors
        return result


def describe(projections: np.ndarray, texts: np.ndarray) -> dict[str, float]:
    """What features are like: medians of cosines and scores, and how many dimensions hold 90 % of the variance."""
    pictures = projections[:1000].astype(np.float32)
    within = np.einsum("nqp,nrp->nqr", pictures, pictures)[:, ~np.eye(pictures.shape[1], dtype=bool)]
    flat = pictures.reshape(-1, pictures.shape[2])
    variances = np.linalg.eigvalsh(np.cov(flat.T))[::-1]
    scores = np.sort((flat @ texts[:200].T).reshape(*pictures.shape[:2], -1).max(axis=1), axis=0)[::-1]
    return {
        "cosine_within_a_picture": float(np.median(within)),
        "cosine_between_pictures": float(np.median(pictures[:, 0] @ pictures[:, 0].T)),
        "dimensions_of_90_percent": int(np.searchsorted(np.cumsum(variances) / variances.sum(), 0.9) + 1),
        "best_score": float(np.median(scores[0])),
        "median_score": float(np.median(scores)),
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
