"""What is looked for, as vectors: a text, a picture, or both.

In shapes: N pictures, Q queries of the Q-Former, P projection width, K vectors of what is looked for.
"""

from dataclasses import dataclass

import numpy as np

from workflow_scripts.search.half import single


@dataclass(frozen=True)
class Query:
    """Vectors [K, P] and their weights [K], which add up to 1."""

    vectors: np.ndarray
    weights: np.ndarray

    def scores(self, projection: np.ndarray) -> np.ndarray:
        """Exact scores [N] of projections [N, Q, P]: for each vector the best of Q, and of these the weighted sum."""
        return self.weights @ best_of_queries(projection, self.vectors)


def of_text(embedding: np.ndarray) -> Query:
    """The query of a text embedding [P]; its scores are BLIP-2's ITC scores."""
    return Query(np.asarray(embedding, np.float32)[None], np.ones(1, np.float32))


def of_picture(projection: np.ndarray) -> Query:
    """The query of a picture's projection [Q, P]; scores are the mean over its queries of their best counterpart's,
    as in late interaction (Khattab and Zaharia 2020): 1 for the picture itself."""
    vectors = np.asarray(projection, np.float32)
    return Query(vectors, np.full(len(vectors), 1 / len(vectors), np.float32))


def both(first: Query, second: Query) -> Query:
    """The query whose scores are the means of the scores of two."""
    return Query(
        np.concatenate([first.vectors, second.vectors]), np.concatenate([first.weights, second.weights]) / np.float32(2)
    )


def best_of_queries(projection: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """BLIP-2's ITC score [K, N]: the best of the Q projected queries [N, Q, P] for each vector [K, P]."""
    count, positions, width = projection.shape
    pictures = single(projection).reshape(count * positions, width)
    scores = np.asarray(vectors, dtype=np.float32) @ pictures.T
    return scores.reshape(len(vectors), count, positions).max(axis=2)
