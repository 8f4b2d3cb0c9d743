"""Several questions about one image in one row: its image tokens are read once, and no question sees another.

What a language model computes for a turn (the text behind the image and the answer) is the same as in a row of its own:
the mask hides other turns, and each turn begins at the same position. Only the cost differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Row:
    """One image: how many soft tokens lie in front, and the turns behind them, as ids before the answer and of it."""

    front: int
    turns: list[tuple[Sequence[int], Sequence[int]]]

    @property
    def ids(self) -> list[int]:
        """All turns' tokens, one after the other."""
        return [token for after, answer in self.turns for token in (*after, *answer)]

    def layout(self) -> tuple[list[int], list[int], list[int]]:
        """Return segments (0 in front, k in turn k), positions and labels (-100 but at answers) of every token."""
        segments, positions, labels = [0] * self.front, list(range(self.front)), [-100] * self.front
        for number, (after, answer) in enumerate(self.turns, 1):
            length = len(after) + len(answer)
            segments += [number] * length
            positions += range(self.front, self.front + length)
            labels += [-100] * len(after) + list(answer)
        return segments, positions, labels


def lay_out(rows: Sequence[Row], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return segments (-1 is padding, on the right), positions and labels of rows, each [B, T]."""
    tables = list(zip(*(row.layout() for row in rows), strict=True))
    longest = max(map(len, tables[0]))
    segments, positions, labels = (
        torch.tensor([row + [fill] * (longest - len(row)) for row in table], device=device)
        for table, fill in zip(tables, (-1, 0, -100), strict=True)
    )
    return segments, positions, labels


def attention_mask(segments: Tensor, past: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """The additive mask [B, 1, T, past + T] in which a turn sees what is in front and its own past, no other turn."""
    length = segments.shape[1]
    query, key = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    seen = causal & ((key == query) | ((key == 0) & (query > 0)))
    seen = functional.pad(seen, (past, 0), value=True)
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)[:, None]
