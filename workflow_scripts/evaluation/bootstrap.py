"""95 % intervals: a bootstrap over images, since questions about one image are not independent."""

from collections.abc import Iterator, Sequence

import numpy as np

RESAMPLES = 2000
_CELLS_AT_ONCE = 20_000_000


def image_sums(values: np.ndarray, images: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum [G] and number [G] of the values of each of the G images, in the sorted order of their keys."""
    _, group = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    return np.bincount(group, weights=values), np.bincount(group).astype(float)


def confidence_interval(
    values: np.ndarray, images: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile interval (2.5 %, 97.5 %) of the mean of values [N] under resampling of images [N]."""
    low, high = np.percentile(resampled_means(values, images, seed, resamples), [2.5, 97.5])
    return float(low), float(high)


def resampled_means(values: np.ndarray, images: Sequence[str], seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Means [R] of values [N] under resampling of images [N].

    Drawing G images with replacement is one multinomial draw over the images. Images with equal sum and number are
    exchangeable, so that the draw is made over the distinct pairs: the same distribution, a few hundred cells
    instead of G.
    """
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError("There is no value to take an interval of; the benchmark is empty.")
    sums, numbers = image_sums(values, images)
    pairs, weights = np.unique(np.stack([sums, numbers], axis=1), axis=0, return_counts=True)
    return _means_of_draws(pairs[:, 0], pairs[:, 1], weights, seed, resamples)


def resampled_sums(values: np.ndarray, images: Sequence[str], seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Sums [R, K] of values [N, K] under resampling of images [N], for figures that are no means of values."""
    _, group = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    sums = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(sums, group, values)
    blocks = _image_counts(len(sums), seed, resamples, len(sums))
    return np.concatenate([counts @ sums for counts in blocks])


def median_interval(
    values: np.ndarray, images: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile interval (2.5 %, 97.5 %) of the median of values [N] under resampling of images [N]."""
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError("There is no value to take an interval of; the benchmark is empty.")
    _, group = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    order = np.argsort(values, kind="stable")
    values, group = values[order], group[order]
    medians = []
    for counts in _image_counts(int(group.max()) + 1, seed, resamples, len(values)):
        below = np.cumsum(counts[:, group], axis=1)  # values up to each, in their order
        total = below[:, -1:]
        lower = values[(below <= (total - 1) // 2).sum(axis=1)]
        upper = values[(below <= total // 2).sum(axis=1)]
        medians.append((lower + upper) / 2)
    low, high = np.percentile(np.concatenate(medians), [2.5, 97.5])
    return float(low), float(high)


def _image_counts(images: int, seed: int, resamples: int, width: int) -> Iterator[np.ndarray]:
    """How often each image [G] is drawn in each resample, in blocks [B, G] of some million cells of `width` columns."""
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS_AT_ONCE // (4 * max(width, images)))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        yield generator.multinomial(images, np.full(images, 1 / images), size=size).astype(np.int64)


def _means_of_draws(
    sums: np.ndarray, numbers: np.ndarray, weights: np.ndarray, seed: int, resamples: int
) -> np.ndarray:
    """Means [R] of R resamples of sum(weights) images of U kinds: sums [U], numbers [U], weights [U]."""
    generator = np.random.default_rng(seed)
    total = int(weights.sum())
    block = max(1, _CELLS_AT_ONCE // len(weights))
    means = []
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        counts = generator.multinomial(total, weights / total, size=size).astype(float)
        means.append((counts @ sums) / (counts @ numbers))
    return np.concatenate(means)
