"""From pictures, and queries where the Q-Former is given them, to query output: the feature extractor at work.

In shapes: B batch, I pictures, Q queries of the Q-Former, D its width, T tokens of a text, P tokens of a picture,
V the vision encoder's width.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from workflow_scripts.models.adaptor import has_q_former, read_adaptor_metadata, read_q_former_weights

if TYPE_CHECKING:
    from workflow_scripts.models.blip2 import OfflineBlip2Qformer
    from workflow_scripts.models.feature_extractor import FeatureExtractor

READS_QUERY = "q_former_query"
"""Metadata of an adaptor that was trained behind a Q-Former which is given the query."""


class QFormer(nn.Module):
    """LAVIS's Q-Former with its query tokens, without its heads."""

    def __init__(self, model: "OfflineBlip2Qformer") -> None:
        super().__init__()
        self.query_tokens = model.query_tokens
        self.bert = model.Qformer.bert

    def forward(self, image_embeds: Tensor, texts: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Picture tokens [B, P, V], and ids and attention mask [B, T] of texts, -> query output [B, Q, D].

        A text's tokens share the self-attention with the queries (InstructBLIP, arXiv:2305.06500, section 2.3).
        """
        image_embeds = image_embeds.to(self.query_tokens.dtype)
        query_tokens = self.query_tokens.expand(len(image_embeds), -1, -1)
        ids, mask = texts or (None, None)
        if mask is not None:
            mask = torch.cat([mask.new_ones(query_tokens.shape[:2]), mask], dim=1)
        output = self.bert(
            ids,
            query_embeds=query_tokens,
            attention_mask=mask,
            encoder_hidden_states=image_embeds,
            encoder_attention_mask=image_embeds.new_ones(image_embeds.shape[:2], dtype=torch.long),
            return_dict=True,
        )
        return output.last_hidden_state[:, : query_tokens.shape[1]]

    def unfreeze(self, reads_query: bool) -> None:
        """Let those parameters be trained that query output is computed with, of a text or of none."""
        self.requires_grad_(True)
        parameters = list(self.parameters())
        device = self.query_tokens.device
        picture = torch.ones(1, 1, self.bert.config.encoder_width, device=device)
        one = torch.ones(1, 1, dtype=torch.long, device=device)
        output = self(picture, (one, one) if reads_query else None)
        reached = torch.autograd.grad(output.sum(), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, reached, strict=True):
            parameter.requires_grad_(gradient is not None)


class OnlineFeatures:
    """A frozen vision encoder, and a Q-Former that is the extractor's own, another one, or in training.

    Args:
        extractor: what features are made with; frozen.
        reads_query: whether the Q-Former is given the query.
        weights: of the Q-Former, in place of the extractor's; what is not among them stays.
        trained: whether gradients reach the Q-Former. Only then is `q_former` to be registered in a model, which an
            engine casts and shards: a frozen one computes as it does for cached features.
    """

    def __init__(
        self,
        extractor: "FeatureExtractor",
        reads_query: bool = False,
        weights: Mapping[str, Tensor] | None = None,
        trained: bool = False,
    ) -> None:
        self._extractor = extractor
        self.reads_query = reads_query
        self.trained = trained
        self.own_weights = dict(weights or {})
        self.q_former = QFormer(extractor.model)
        if self.own_weights or trained:  # others may look at pictures with the extractor's
            self.q_former = copy.deepcopy(self.q_former)
        try:
            unexpected = self.q_former.load_state_dict(self.own_weights, strict=False).unexpected_keys
        except RuntimeError as error:
            unexpected = str(error).splitlines()[1:]
        if unexpected:
            raise ValueError(
                f"The Q-Former's weights do not fit this feature extractor ({unexpected[0].strip()}); take the "
                "feature extractor that they were trained with."
            )
        if trained:
            self.q_former.unfreeze(reads_query)

    @property
    def width(self) -> int:
        """The width D of query output."""
        return self._extractor.width

    def text_ids(self, query: str) -> list[int]:
        """Return the Q-Former's ids of a query, cut at LAVIS's longest text; none where it is empty or not read."""
        query = query.strip()
        if not self.reads_query or not query:
            return []
        model = self._extractor.model
        return model.tokenizer(query, truncation=True, max_length=model.geometry.max_text_length).input_ids

    def __call__(
        self, pixels: Tensor, texts: Sequence[Sequence[int]] | None = None, image_of: Sequence[int] | None = None
    ) -> tuple[Tensor, Sequence[int] | None]:
        """Pixels [I, 3, H, W] and ids of B texts -> query output, and which of it each sample asks about.

        With a query, query output is a sample's own: [B, Q, D], and None. Without, it is that of the pictures.
        """
        with torch.no_grad():
            image_embeds = self._image_embeds(pixels)
        with torch.set_grad_enabled(self.trained and torch.is_grad_enabled()):
            if not self.reads_query:
                return self.q_former(image_embeds), image_of
            assert texts is not None, "a Q-Former that is given the query needs one for each sample"
            if image_of is not None:
                image_embeds = image_embeds[list(image_of)]
            return self.q_former(image_embeds, _padded(texts, image_embeds.device)), None

    def _image_embeds(self, pixels: Tensor) -> Tensor:
        """Pixels [I, 3, H, W] -> [I, P, V] in float32, with LAVIS's precision on the way."""
        model = self._extractor.model
        with model.maybe_autocast():
            return model.ln_vision(model.visual_encoder(pixels.to(self._extractor.device))).float()


def _padded(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and attention mask [B, T] of texts.

    T is 1 at least, also where all are empty: processes that train together need gradients of the same parameters.
    """
    longest = max(1, *map(len, texts))
    ids = torch.tensor([[*text, *[0] * (longest - len(text))] for text in texts], device=device)
    lengths = torch.tensor([len(text) for text in texts], device=device)
    return ids, (torch.arange(longest, device=device) < lengths[:, None]).long()


def needs_pictures(adaptor: Path) -> bool:
    """Whether an adaptor was trained behind another Q-Former than the extractor's, or one that is given the query."""
    return READS_QUERY in read_adaptor_metadata(adaptor) or has_q_former(adaptor)


def online_features_of(adaptor: Path, extractor: "FeatureExtractor") -> OnlineFeatures:
    """Return what makes the query output that an adaptor was trained on."""
    return OnlineFeatures(extractor, READS_QUERY in read_adaptor_metadata(adaptor), read_q_former_weights(adaptor))
