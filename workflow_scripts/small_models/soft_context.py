"""Contexts as soft tokens: noisy sums of word embeddings in the place where image tokens will stand.

A model of billions of weights, trained on the web, copes with input embeddings that are no word's; a small one has to
learn that they exist. So a context's phrases are spread over a fixed number of positions, several words in one
position, with random weights, omissions, an admixture of another phrase and noise. It stays training on text:
nothing here comes from a picture.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WORD_OMITTED = 0.2
POSITION_EMPTY = 0.1
MIXED = 0.4
NOISE = 0.5


@dataclass(frozen=True)
class SoftContext:
    """A weighted sum of tokens a position: parallel arrays of position, token id and weight."""

    positions: np.ndarray
    tokens: np.ndarray
    weights: np.ndarray


def spread(
    phrases: list[list[int]], common: list[int], count: int, rng: np.random.Generator, disorder: float = 1.0
) -> SoftContext:
    """Spread phrases (lists of token ids) over `count` positions; `common` tokens stand in most of them.

    `disorder` from 0 to 1 says how often words are left out and phrases mixed.
    """
    chosen = rng.integers(len(phrases), size=count)
    # Every phrase has a position at least, as far as there are positions.
    places = rng.permutation(count)[: len(phrases)]
    chosen[places] = np.arange(len(places))
    kept = np.zeros(count, dtype=bool)
    kept[places] = True
    positions: list[int] = []
    tokens: list[int] = []
    weights: list[float] = []

    def add(position: int, ids: list[int], scale: float, omitted: float) -> None:
        for token in ids:
            if rng.random() >= omitted:
                positions.append(position)
                tokens.append(token)
                weights.append(scale * rng.uniform(0.6, 1.4))

    for position in range(count):
        if common and rng.random() < 0.9:
            add(position, common, rng.uniform(0.4, 1.2), 0.0)
        if not kept[position] and rng.random() < POSITION_EMPTY:
            continue
        add(
            position,
            phrases[chosen[position]],
            rng.uniform(0.6, 1.6),
            0.0 if kept[position] else WORD_OMITTED * disorder,
        )
        if rng.random() < MIXED * disorder:
            add(position, phrases[rng.integers(len(phrases))], rng.uniform(0.0, 0.5), WORD_OMITTED)
    return SoftContext(np.array(positions), np.array(tokens), np.array(weights, dtype=np.float32))


def embed(context: SoftContext, count: int, embedding: Tensor, disorder: float = 1.0) -> Tensor:
    """Return the soft tokens [count, W] of a context for an embedding matrix [V, W], with noise."""
    rows = embedding[torch.from_numpy(context.tokens)] * torch.from_numpy(context.weights)[:, None]
    soft = embedding.new_zeros(count, embedding.shape[1])
    soft = soft.index_add(0, torch.from_numpy(context.positions), rows)
    return soft + torch.randn_like(soft) * (disorder * NOISE * embedding.detach().std())
