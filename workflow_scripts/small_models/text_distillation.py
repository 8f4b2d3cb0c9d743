"""Teaches a Q-Former's text side the teacher's text projections: [CLS] learns what means and word counts tell.

The targets are dense and cost nothing, so the text encoder learns from tens of thousands of captions what contrast with
a few thousand pictures would let it learn by heart.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workflow_scripts.config.vision import LinearStartSettings
from workflow_scripts.models.blip2 import OfflineBlip2Qformer
from workflow_scripts.small_models.retrieval_teacher import RetrievalTeacher, parts, ridge
from workflow_scripts.training.order import BatchOrder

_WINDOW = 32  # batches among which texts are grouped by length
_FITTED_TEXTS = 6000


class TextDistillation:
    """Batches of a teacher's texts and the loss of a Q-Former on them."""

    def __init__(self, teacher: RetrievalTeacher, settings: LinearStartSettings, seed: int) -> None:
        self.teacher = teacher
        lengths = np.array([len(text.split()) for text in teacher.texts])
        self._order = BatchOrder(lengths, min(settings.text_batch_size, len(lengths)), seed, _WINDOW)
        self.steps = round(settings.text_epochs * self._order.steps_per_epoch)

    def batches(self, done: int) -> Iterator[list[int]]:
        """Rows of the texts of each step after the first `done`."""
        return (self._order.batch(step).tolist() for step in range(done, self.steps))

    @torch.no_grad()
    def start(self, model: OfflineBlip2Qformer) -> None:
        """Fit `text_proj` to the text encoder as it is."""
        model.eval()
        rows = range(0, len(self.teacher.texts), max(1, len(self.teacher.texts) // _FITTED_TEXTS))
        outputs = torch.cat([_class_output(model, [self.teacher.texts[row] for row in part]) for part in parts(rows)])
        model.text_proj.load_state_dict(ridge(outputs, self.teacher.text_targets[list(rows)]).state_dict())

    def loss(self, model: OfflineBlip2Qformer, rows: list[int]) -> Tensor:
        """One minus the mean cosine of projected texts and their targets; without dropout, which these do not need."""
        model.eval()
        outputs = _class_output(model, [self.teacher.texts[row] for row in rows])
        return 1 - F.cosine_similarity(model.text_proj(outputs), self.teacher.text_targets[rows], dim=-1).mean()


def _class_output(model: OfflineBlip2Qformer, texts: list[str]) -> Tensor:
    """[CLS] outputs [B, W] of texts."""
    encoded = model.tokenizer(texts, padding=True, truncation=True, max_length=model.max_txt_len, return_tensors="pt")
    return model.forward_text(encoded)
