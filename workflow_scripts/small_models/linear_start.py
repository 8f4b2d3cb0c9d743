"""Gives a Q-Former's queries the linear solution to start from, which a few thousand pictures cannot teach them.

The last cross-attention looks at all tokens alike and carries the linear map's values, in as many heads as that needs;
its other heads, and the layers before it, look at different places with different queries. What the queries give is
projected, by a ridge regression, to what the linear map gives.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.config.vision import LinearStartSettings
from workflow_scripts.models.blip2 import OfflineBlip2Qformer
from workflow_scripts.models.timm_encoder import PLACE_WIDTH
from workflow_scripts.small_models.local_heads import look_at_places
from workflow_scripts.small_models.retrieval_teacher import RetrievalTeacher, normed_tokens, parts, ridge
from workflow_scripts.small_models.token_data import TokenCorpus

_VALUE_LENGTH = 20.0  # of what the last cross-attention adds; a query has about 13 before it, MiniLM's layer norm
_LOOK = 0.1  # how much a query's attention in the last cross-attention differs from an even one, at the start
_LOOKED_AT = 600  # pictures from which the other heads learn what tokens differ by
_PLACE_GAIN = 0.25  # standard deviation of the weights by which other keys see the place of a token


@torch.no_grad()
def start_queries(
    model: OfflineBlip2Qformer,
    corpus: TokenCorpus,
    teacher: RetrievalTeacher,
    settings: LinearStartSettings,
    seed: int,
) -> dict[str, float]:
    """Write the teacher's picture side into a model; returns how near it comes to the teacher."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    chosen = corpus.train[: settings.fitted_pictures]
    means = torch.cat([normed_tokens(model, corpus, part).mean(1) for part in parts(chosen)])
    model.temp.fill_(teacher.temperature)
    last = _shape_attention(model, teacher.image_map, means, generator)
    look_at_places(model, corpus, chosen[:_LOOKED_AT], last, teacher.image_map.out_features)
    wanted = F.normalize(teacher.image_map(means), dim=-1)
    queries = torch.cat([_query_output(model, corpus, part) for part in parts(chosen)])
    projection = ridge(queries.flatten(0, 1), wanted.repeat_interleave(queries.shape[1], dim=0))
    model.vision_proj.load_state_dict(projection.state_dict())
    reached = F.normalize(model.vision_proj(queries), dim=-1)
    return {"cosine_with_teacher": (reached * wanted[:, None]).sum(-1).mean().item()}


def _shape_attention(
    model: OfflineBlip2Qformer, image_map: nn.Linear, means: Tensor, generator: torch.Generator
) -> nn.Module:
    """Let the last cross-attention, which is returned, carry the linear map evenly, and the others look at places."""
    *others, last = [layer.crossattention for layer in model.Qformer.bert.encoder.layer if layer.has_cross_attention]
    projected = image_map(means)
    centre = projected.mean(0)
    gain = _VALUE_LENGTH / (projected - centre).norm(dim=1).mean()
    width = image_map.out_features
    if width > last.self.value.out_features:
        raise ValueError(
            f"embed_dim ({width}) exceeds qformer_width ({last.self.value.out_features}); the linear solution does not "
            "fit through the Q-Former then."
        )
    last.self.value.weight[:width].copy_(image_map.weight * gain)
    last.self.value.bias[:width].copy_((image_map.bias - centre) * gain)
    last.self.query.weight.mul_(_LOOK)
    last.output.dense.weight.copy_(torch.eye(last.output.dense.out_features))
    last.output.dense.bias.zero_()
    for attention in others:
        keys = attention.self.key.weight
        keys[:, -PLACE_WIDTH:].copy_(torch.randn(len(keys), PLACE_WIDTH, generator=generator) * _PLACE_GAIN)
    for layer in model.Qformer.bert.encoder.layer:  # what BERT does to words is not for queries
        layer.output_query.dense.weight.zero_()
        layer.output_query.dense.bias.zero_()
    return last


def _query_output(model: OfflineBlip2Qformer, corpus: TokenCorpus, keys: list[str]) -> Tensor:
    tokens = normed_tokens(model, corpus, keys)
    return model.Qformer.bert(
        query_embeds=model.query_tokens.expand(len(keys), -1, -1),
        encoder_hidden_states=tokens,
        encoder_attention_mask=torch.ones(tokens.shape[:2], dtype=torch.long),
        return_dict=True,
    ).last_hidden_state
