"""Which samples make up which batch: a pure function of seed, epoch and step, so that any position is found at once."""

import numpy as np


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the permutation [count] of the samples in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def beside_their_image(images: np.ndarray, together: int, rng: np.random.Generator) -> np.ndarray:
    """Return an order [N] in which the samples of an image come in groups of up to `together`, and groups at random."""
    by_image = np.argsort(images, kind="stable")
    begins = np.concatenate([[True], np.diff(images[by_image]) != 0])
    place = np.arange(len(images))
    rank = place - np.maximum.accumulate(np.where(begins, place, 0))
    groups = np.cumsum(rank % together == 0) - 1
    # Not in the place of their first sample: then images with many samples would all come early.
    return by_image[np.argsort(rng.permutation(groups[-1] + 1)[groups], kind="stable")]


class BatchOrder:
    """The global batches of a training, grouped by length inside windows of several batches.

    An epoch's permutation is cut into windows; the samples of a window are sorted by length and cut into batches, and
    these come in a random order. What does not fill a batch at an epoch's end is left out of that epoch.
    Memory and time to reach a step do not depend on the step.

    Args:
        lengths: tokens of each sample [N].
        batch_size: samples in a batch, over all processes.
        seed: of permutations and of the order of batches in a window.
        window: batches in a window; 1 groups nothing.
        images: image of each sample [N]; with them, up to `together` samples of an image follow one another, and
            nothing is grouped by length.
        together: how many.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        window: int,
        images: np.ndarray | None = None,
        together: int = 1,
    ) -> None:
        if len(lengths) < batch_size:
            raise ValueError(f"batch_size = {batch_size} is more than the {len(lengths)} samples there are; lower it.")
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self.images = images if together > 1 else None
        self.together = together
        self.steps_per_epoch = len(lengths) // batch_size
        self._permutation: tuple[int, np.ndarray] | None = None
        self._batches: tuple[tuple[int, int], np.ndarray] | None = None

    def batch(self, step: int) -> np.ndarray:
        """Return the indices [batch_size] of the samples of a global step, the shortest first."""
        epoch, position = divmod(step, self.steps_per_epoch)
        window, place = divmod(position, self.window)
        if self._batches is None or self._batches[0] != (epoch, window):
            self._batches = ((epoch, window), self._window(epoch, window))
        return self._batches[1][place]

    def _window(self, epoch: int, window: int) -> np.ndarray:
        if self._permutation is None or self._permutation[0] != epoch:
            permutation = order(len(self.lengths), self.seed, epoch)
            if self.images is not None:
                rng = np.random.default_rng([self.seed, epoch, 0])
                permutation = permutation[beside_their_image(self.images[permutation], self.together, rng)]
            self._permutation = (epoch, permutation)
        first = window * self.window
        batches = min(self.window, self.steps_per_epoch - first)
        members = self._permutation[1][first * self.batch_size : (first + batches) * self.batch_size]
        if self.window > 1 and self.images is None:
            members = members[np.argsort(self.lengths[members], kind="stable")]
        arrangement = np.random.default_rng([self.seed, epoch, window + 1]).permutation(batches)
        return members.reshape(batches, self.batch_size)[arrangement]
