"""Pictures as a frozen vision encoder's tokens, with their captions: what Q-Former and linear baseline learn from."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.features.token_store import TokenStores
from workflow_scripts.small_models.pair_captions import read_captions

VALIDATION_SHARE = 0.02


class TokenCorpus:
    """Captioned pictures of a pairs table; a fiftieth of them, by a hash of the key, is held out for validation."""

    def __init__(self, pairs: Path, stores: Sequence[Path]) -> None:
        self.tokens = TokenStores.open(*stores)
        self.captions = read_captions(pairs)
        rows = self.tokens.locate(list(self.captions))
        self._row = dict(zip(self.captions, rows.tolist(), strict=True))
        self.train = [key for key in self.captions if not _is_held_out(key)]
        self.validation = [key for key in self.captions if _is_held_out(key)]
        if len(self.train) < 2:
            raise ValueError(f"{pairs} leaves {len(self.train)} pictures to train on; at least two are needed.")

    def tokens_of(self, keys: Sequence[str]) -> Tensor:
        """The tokens [B, T, D] of pictures, float32."""
        return torch.from_numpy(self.tokens.at(np.array([self._row[key] for key in keys])))

    @property
    def digest(self) -> str:
        """A checksum of pictures, captions and vision encoder."""
        content = [self.captions, self.tokens.encoder_sha256]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def batches(self, batch_size: int, seed: str) -> Iterator[list[str]]:
        """Training pictures in a new order every pass, for ever; what does not fill a batch waits for another pass."""
        generator = np.random.default_rng(list(hashlib.sha256(seed.encode()).digest()))
        size = min(batch_size, len(self.train))
        while True:
            order = generator.permutation(len(self.train))
            for start in range(0, len(order) - size + 1, size):
                yield [self.train[index] for index in order[start : start + size]]


def mirrored(tokens: Tensor, chosen: Tensor) -> Tensor:
    """Tokens [B, T, D] of a square map with left and right exchanged for the pictures that `chosen` [B] marks.

    Nearly what the encoder gives for the mirrored picture, without running it.
    """
    side = round(tokens.shape[1] ** 0.5)
    assert side * side == tokens.shape[1], "tokens of a square map"
    exchanged = tokens.unflatten(1, (side, side)).flip(2).flatten(1, 2)
    return torch.where(chosen[:, None, None], exchanged, tokens)


def _is_held_out(key: str) -> bool:
    value = int.from_bytes(hashlib.sha256(f"q-former {key}".encode()).digest()[:4], "big") / 2**32
    return value < VALIDATION_SHARE
