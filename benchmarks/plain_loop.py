"""A training loop of the adaptor as the field writes it, with the structure of MiniGPT-4's: the baseline.

Each step opens its pictures, runs the frozen encoder on them, tokenises its texts, pads to the longest of a random
batch and lets the language model compute logits and loss at all positions. Three switches replace these parts, one by
one, by what the project's own loop does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from workflow_scripts.data.shards import ImageSet
from workflow_scripts.features.store import FeatureStores
from workflow_scripts.models.adaptor import build_adaptor
from workflow_scripts.models.feature_extractor import FeatureExtractor
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.training.order import BatchOrder


@dataclass(frozen=True)
class Switches:
    """Which parts are the project's: features read from a store, batches of like lengths, logits at answers only."""

    cached_features: bool = False
    grouped: bool = False
    logits_at_answers: bool = False


@dataclass(frozen=True)
class Frozen:
    """What all variants share: pictures, features, models, samples and their lengths [N]."""

    images: dict[str, ImageSet]
    stores: FeatureStores
    extractor: FeatureExtractor
    language_model: Any
    prompt: Prompt
    rows: Sequence[dict[str, str]]
    lengths: np.ndarray
    learning_rate: float


class PlainLoop:
    """One optimizer step after the other on batches of B samples; T tokens, W width, V vocabulary."""

    def __init__(self, frozen: Frozen, switches: Switches, batch_size: int, window: int) -> None:
        self.frozen = frozen
        self.switches = switches
        self.order = BatchOrder(frozen.lengths, batch_size, 0, window if switches.grouped else 1)
        embedding = frozen.language_model.get_input_embeddings()
        torch.manual_seed(0)
        self.adaptor = build_adaptor("linear", frozen.stores.width, embedding.embedding_dim)
        self.optimizer = torch.optim.AdamW(self.adaptor.parameters(), lr=frozen.learning_rate)
        self.padded_tokens: list[int] = []

    def step(self, number: int) -> float:
        """Make a step and return its loss."""
        rows = [self.frozen.rows[index] for index in self.order.batch(number)]
        loss = self._loss(self._features([row["image"] for row in rows]), rows)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _features(self, keys: Sequence[str]) -> Tensor:
        if self.switches.cached_features:
            return torch.from_numpy(self.frozen.stores.query_output(keys))
        pictures = []
        for key in keys:
            image_set, _, image_id = key.partition("/")
            pictures.append(self.frozen.extractor.transform(self.frozen.images[image_set].open_image(image_id)))
        return self.frozen.extractor.extract_images(torch.stack(pictures))[0].clone()

    def _loss(self, features: Tensor, rows: Sequence[dict[str, str]]) -> Tensor:
        model, prompt = self.frozen.language_model, self.frozen.prompt
        embed = model.get_input_embeddings()
        before, after = prompt.prefix_ids("")
        images = self.adaptor(features)
        count = len(rows)
        wrapped = torch.cat(
            [
                embed(torch.tensor(before)).expand(count, -1, -1),
                images,
                embed(torch.tensor(after)).expand(count, -1, -1),
            ],
            dim=1,
        )
        answers = [prompt.answer_ids(row["answer"]) for row in rows]
        longest = max(map(len, answers))
        ids = torch.tensor([answer + [prompt.end_id] * (longest - len(answer)) for answer in answers])
        mask = torch.tensor([[1] * len(answer) + [0] * (longest - len(answer)) for answer in answers])
        front = wrapped.shape[1]
        inputs = torch.cat([wrapped, embed(ids)], dim=1)
        attention = torch.cat([torch.ones(count, front, dtype=torch.long), mask], dim=1)
        labels = torch.cat([torch.full((count, front), -100), ids.masked_fill(mask == 0, -100)], dim=1)
        self.padded_tokens.append(inputs.shape[1])
        if not self.switches.logits_at_answers:
            return model(inputs_embeds=inputs, attention_mask=attention, labels=labels, use_cache=False).loss
        hidden = model.get_decoder()(inputs_embeds=inputs, attention_mask=attention, use_cache=False).last_hidden_state
        predicts = labels[:, 1:] != -100
        logits = model.get_output_embeddings()(hidden[:, :-1][predicts])
        return functional.cross_entropy(logits.float(), labels[:, 1:][predicts])
