"""What the trainings by contrast of pictures and texts share."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(similarity: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of finding the own text of each picture and the own picture of each text.

    Args:
        similarity: [B, B] of B pictures and B texts, divided by the temperature; pairs stand on the diagonal.
    """
    target = torch.arange(len(similarity))
    to_text = F.cross_entropy(similarity, target, label_smoothing=label_smoothing)
    return (to_text + F.cross_entropy(similarity.t(), target, label_smoothing=label_smoothing)) / 2


def warm_cosine(step: int, steps: int, warm_up: int = 30) -> float:
    """The share of the highest learning rate at a step from 1 on: a linear rise, under a cosine down to 2 per cent."""
    return min(1.0, step / warm_up) * max(0.02, 0.5 * (1 + math.cos(math.pi * step / steps)))
