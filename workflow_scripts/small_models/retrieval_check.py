"""Recall of text-to-picture retrieval while small models are trained."""

import torch
from torch import Tensor


def recall(similarity: Tensor, ks: tuple[int, ...] = (1, 5, 10)) -> dict[str, float]:
    """Share of texts in per cent whose own picture is among the best k; [texts, pictures], text i of picture i.

    Pictures with the same similarity as the right one count as better.
    """
    own = similarity.diagonal().unsqueeze(1)
    better = (similarity >= own).sum(1) - 1
    return {f"r_at_{k}": 100 * (better < k).to(torch.float32).mean().item() for k in ks}
