"""Where the Q-Former looks in a picture for a description, weighted by how much that raises their score.

Cross-attention alone may be spread evenly over the picture and still find things, by what it reads there. So each
attention is multiplied with the gradient of the score by it, where that is positive: Grad-CAM (Selvaraju and others,
2017) on cross-attention, as ALBEF (Li and others, 2021) draws it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from workflow_scripts.models.feature_extractor import FeatureExtractor

# Where a picture is looked at least it is shown at this share of its brightness.
_DIMMED = 0.25


@dataclass(frozen=True)
class AttentionMap:
    """Where one query token looks; in shapes: R rows and C columns of the vision encoder's tokens.

    `weights` [R, C] have the sum 1; `shift` says how far, in tokens to the right and down, a token sees from the middle
    of its cell; `query` is the query token's number from 0 on, `score` its cosine with the text.
    """

    weights: np.ndarray
    shift: float
    query: int
    score: float

    def heat(self, width: int, height: int) -> np.ndarray:
        """The weights over a picture's pixels, [H, W] from 0 where they are lowest to 1 where they are highest.

        The extractor stretches a picture to a square, so that its map stretches back over the whole of it.
        """
        from scipy.ndimage import map_coordinates

        rows, columns = self.weights.shape
        y = (np.arange(height) + 0.5) / height * rows - 0.5 - self.shift
        x = (np.arange(width) + 0.5) / width * columns - 0.5 - self.shift
        heat = map_coordinates(self.weights, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
        extent = np.ptp(heat)
        return (heat - heat.min()) / extent if extent > 0 else np.ones_like(heat)

    def over(self, picture: "Image") -> "Image":
        """The picture with its light where the query token looks."""
        from PIL import Image

        light = _DIMMED + (1 - _DIMMED) * self.heat(*picture.size)[..., None]
        return Image.fromarray((np.asarray(picture.convert("RGB")) * light).round().astype(np.uint8))


def attention_map(extractor: "FeatureExtractor", picture: "Image", text: str) -> AttentionMap:
    """Where the query token that fits a text best looks in a picture; its cosine with the text is their ITC score.

    ValueError where the text is empty.
    """
    if not text.strip():
        raise ValueError("There is no description to look for in the picture; give one.")
    wanted = extractor.embed_texts([text])[0].clone()  # an inference tensor cannot take part in a gradient
    scores, attention = _look(extractor, picture, wanted)
    query = int(scores.argmax())
    gradients = torch.autograd.grad(scores[query], attention)
    # [1, heads, Q, T] of each layer -> [T]; what two heads see counts twice.
    seen = [
        (one * gradient.clamp(min=0))[0, :, query].sum(0) for one, gradient in zip(attention, gradients, strict=True)
    ]
    weights = torch.stack(seen).sum(0).detach().cpu().numpy()
    return AttentionMap(_square(weights), _token_shift(extractor), query, float(scores[query].detach()))


def _look(extractor: "FeatureExtractor", picture: "Image", wanted: "Tensor") -> tuple["Tensor", list["Tensor"]]:
    """Cosine of each projected query with the embedding of a text [P], and the attention [1, heads, Q, T] of each layer
    that looks at the picture."""
    model = extractor.model
    with torch.enable_grad():
        pixels = extractor.transform(picture)[None].to(extractor.device)
        # All weights are frozen: a gradient has to start at the tokens.
        image_embeds = model.ln_vision(model.visual_encoder(pixels)).float().detach().requires_grad_()
        output = model.Qformer.bert(
            query_embeds=model.query_tokens,
            encoder_hidden_states=image_embeds,
            encoder_attention_mask=torch.ones(image_embeds.shape[:-1], dtype=torch.long, device=extractor.device),
            output_attentions=True,
            return_dict=True,
        )
        scores = F.normalize(model.vision_proj(output.last_hidden_state), dim=-1)[0].float() @ wanted
    # A layer without cross-attention leaves its cache where the others leave their attention.
    layers = zip(model.Qformer.bert.encoder.layer, output.cross_attentions, strict=True)
    return scores, [attention for layer, attention in layers if layer.has_cross_attention]


def _square(weights: np.ndarray) -> np.ndarray:
    """Weights of tokens [T] as those of a square [R, C]; a class token before them falls away."""
    side = int(len(weights) ** 0.5)
    assert len(weights) - side * side in (0, 1), "a square of tokens, and at most a class token"
    square = weights[len(weights) - side * side :].reshape(side, side)
    total = square.sum()
    # Where no attention raises the score, none place is better than another.
    return square / total if total > 0 else np.full_like(square, 1 / square.size)


def _token_shift(extractor: "FeatureExtractor") -> float:
    """How far a token sees from the middle of its cell: convolutions of stride 2 drift by their padding.

    Padded on both sides, as in our stem, a token is in the middle of its cell's upper left corner.
    """
    from workflow_scripts.models.blip2 import ConvolutionalStem
    from workflow_scripts.models.timm_encoder import TimmEncoder

    encoder = extractor.model.visual_encoder
    if isinstance(encoder, TimmEncoder):
        return encoder.sizes.token_shift
    return -0.5 if isinstance(getattr(encoder, "patch_embed", None), ConvolutionalStem) else 0.0
