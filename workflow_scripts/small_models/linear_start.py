"""Gives a Q-Former the linear solution to start from: a few thousand pictures cannot teach it that by themselves.

The contrast of mean tokens and texts is solved by one linear map each, which takes seconds. The last cross-attention
then looks at all tokens alike and carries that map's values; the layers before it look at different places with
different queries. What the queries give is projected by a ridge regression to what the linear map gives.
In shapes: N pictures, C captions, D width of a token, W width of the Q-Former, P projection width.
"""

import logging
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BatchEncoding

from workflow_scripts.config.vision import LinearStartSettings
from workflow_scripts.models.blip2 import OfflineBlip2Qformer
from workflow_scripts.models.efficientnet import PLACE_WIDTH
from workflow_scripts.small_models.contrast import contrastive_loss, warm_cosine
from workflow_scripts.small_models.token_data import TokenCorpus

log = logging.getLogger(__name__)
_PART = 200
_RIDGE = 0.01
_VALUE_LENGTH = 20.0  # of what the last cross-attention adds; a query has about 13 before it, MiniLM's layer norm
_LOOK = 0.1  # how much a query's attention in the last cross-attention differs from an even one, at the start
_PLACE_GAIN = 0.25  # standard deviation of the weights by which other keys see the place of a token


def start_from_linear(
    model: OfflineBlip2Qformer, corpus: TokenCorpus, settings: LinearStartSettings, seed: int
) -> Iterator[dict[str, Any]]:
    """Solve the linear contrast and write its solution into a model; yields rows of metrics as they come."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    keys = corpus.train
    with torch.no_grad():
        means = torch.cat([_normed_tokens(model, corpus, part).mean(1) for part in _parts(keys)])
        texts, owners = _texts(model, corpus, keys)
    yield {"pictures": len(means), "captions": len(texts)}
    centre, spread = texts.mean(0), texts.std(0) + 1e-6
    images_to, texts_to, scale, loss = _solve(means, (texts - centre) / spread, owners, settings, model, generator)
    yield {"loss": loss, "temperature": 1 / scale}
    with torch.no_grad():
        model.temp.fill_(1 / scale)
        model.text_proj.weight.copy_(texts_to.weight / spread)
        model.text_proj.bias.copy_(texts_to.bias - texts_to.weight @ (centre / spread))
        _shape_attention(model, images_to, means, generator)
        chosen = keys[: settings.fitted_pictures]
        wanted = F.normalize(images_to(means[: len(chosen)]), dim=-1)
        queries = torch.cat([_query_output(model, corpus, part) for part in _parts(chosen)])
        _fit_projection(model, queries, wanted)
        reached = F.normalize(model.vision_proj(queries), dim=-1)
        yield {"cosine_with_linear": (reached * wanted[:, None]).sum(-1).mean().item()}


def _solve(
    means: Tensor,
    texts: Tensor,
    owners: list[list[int]],
    settings: LinearStartSettings,
    model: OfflineBlip2Qformer,
    generator: torch.Generator,
) -> tuple[nn.Linear, nn.Linear, float, float]:
    """Linear maps of pictures [N, D] and texts [C, W] into the common space, by contrast."""
    width = model.vision_proj.out_features
    images_to, texts_to = nn.Linear(means.shape[1], width), nn.Linear(texts.shape[1], width)
    for linear in (images_to, texts_to):
        linear.weight.data.normal_(std=linear.in_features**-0.5, generator=generator)
        linear.bias.data.zero_()
    scale = nn.Parameter(torch.tensor(-math.log(model.temp.item())))
    optimizer = torch.optim.AdamW(
        [
            {"params": [*images_to.parameters(), *texts_to.parameters()]},
            {"params": [scale], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    size = min(settings.batch_size, len(means))
    steps = settings.epochs * (len(means) // size)
    step, loss = 0, torch.tensor(0.0)
    while step < steps:
        order = torch.randperm(len(means), generator=generator)
        for chosen in order.split(size)[: len(means) // size]:
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * warm_cosine(step, steps)
            kept = torch.rand(len(chosen), means.shape[1], generator=generator) >= settings.dropout
            images = F.normalize(images_to(means[chosen] * kept / (1 - settings.dropout)), dim=-1)
            drawn = torch.rand(len(chosen), generator=generator).tolist()
            rows = [
                owners[index][int(at * len(owners[index]))] for index, at in zip(chosen.tolist(), drawn, strict=True)
            ]
            similarity = images @ F.normalize(texts_to(texts[rows]), dim=-1).t() * scale.exp()
            loss = contrastive_loss(similarity, settings.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return images_to.requires_grad_(False), texts_to.requires_grad_(False), scale.exp().item(), loss.item()


def _shape_attention(
    model: OfflineBlip2Qformer, images_to: nn.Linear, means: Tensor, generator: torch.Generator
) -> None:
    """Let the last cross-attention carry the linear map evenly over the picture, and the others look at places."""
    *others, last = [layer.crossattention for layer in model.Qformer.bert.encoder.layer if layer.has_cross_attention]
    projected = images_to(means)
    centre = projected.mean(0)
    gain = _VALUE_LENGTH / (projected - centre).norm(dim=1).mean()
    width = images_to.out_features
    if width > last.self.value.out_features:
        raise ValueError(
            f"embed_dim ({width}) exceeds qformer_width ({last.self.value.out_features}); the linear solution does not "
            "fit through the Q-Former then."
        )
    last.self.value.weight[:width].copy_(images_to.weight * gain)
    last.self.value.bias[:width].copy_((images_to.bias - centre) * gain)
    last.self.query.weight.mul_(_LOOK)
    last.output.dense.weight.copy_(torch.eye(last.output.dense.out_features))
    last.output.dense.bias.zero_()
    for attention in others:
        keys = attention.self.key.weight
        keys[:, -PLACE_WIDTH:].copy_(torch.randn(len(keys), PLACE_WIDTH, generator=generator) * _PLACE_GAIN)
    for layer in model.Qformer.bert.encoder.layer:  # what BERT does to words is not for queries
        layer.output_query.dense.weight.zero_()
        layer.output_query.dense.bias.zero_()


def _fit_projection(model: OfflineBlip2Qformer, queries: Tensor, wanted: Tensor) -> None:
    """Set `vision_proj` by ridge regression from query outputs [N, Q, W] to the linear projections [N, P]."""
    flat = queries.flatten(0, 1)
    target = wanted.repeat_interleave(queries.shape[1], dim=0)
    centre, goal = flat.mean(0), target.mean(0)
    flat = flat - centre
    penalty = _RIDGE * len(flat) * flat.var() * torch.eye(flat.shape[1])
    weight = torch.linalg.solve(flat.t() @ flat + penalty, flat.t() @ (target - goal))
    model.vision_proj.weight.copy_(weight.t())
    model.vision_proj.bias.copy_(goal - centre @ weight)


def _normed_tokens(model: OfflineBlip2Qformer, corpus: TokenCorpus, keys: list[str]) -> Tensor:
    return model.ln_vision(model.visual_encoder(corpus.tokens_of(keys)))


def _query_output(model: OfflineBlip2Qformer, corpus: TokenCorpus, keys: list[str]) -> Tensor:
    tokens = _normed_tokens(model, corpus, keys)
    return model.Qformer.bert(
        query_embeds=model.query_tokens.expand(len(keys), -1, -1),
        encoder_hidden_states=tokens,
        encoder_attention_mask=torch.ones(tokens.shape[:2], dtype=torch.long),
        return_dict=True,
    ).last_hidden_state


def _texts(model: OfflineBlip2Qformer, corpus: TokenCorpus, keys: list[str]) -> tuple[Tensor, list[list[int]]]:
    """The [CLS] outputs [C, W] of all captions, and the rows that belong to each picture."""
    texts = [text for key in keys for text in corpus.captions[key]]
    owners: list[list[int]] = []
    for key in keys:
        start = owners[-1][-1] + 1 if owners else 0
        owners.append(list(range(start, start + len(corpus.captions[key]))))
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    outputs = torch.empty(len(texts), model.text_proj.in_features)
    for start in range(0, len(order), _PART):
        rows = order[start : start + _PART]
        outputs[rows] = model.forward_text(_tokenized(model, [texts[row] for row in rows]))
    return outputs, owners


def _tokenized(model: OfflineBlip2Qformer, texts: list[str]) -> BatchEncoding:
    return model.tokenizer(texts, padding=True, truncation=True, max_length=model.max_txt_len, return_tensors="pt")


def _parts(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + _PART] for start in range(0, len(keys), _PART))
