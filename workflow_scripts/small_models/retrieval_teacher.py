"""The linear solution of text-to-picture retrieval that a Q-Former learns from: several solutions made into one.

Each member maps mean tokens and one view of the texts into a common space, by contrast, in seconds. Half of the members
read the mean of the text encoder's outputs, half a bag of words, and each starts from other weights: their joint
similarity is far better than any one of them, and no larger model than a linear map is needed for its picture side.
In shapes: N pictures, C captions, D width of a token, W width of the text encoder, M members, P width of the space.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow_scripts.config.vision import LinearStartSettings
from workflow_scripts.models.blip2 import OfflineBlip2Qformer
from workflow_scripts.models.linear_baseline import words_of
from workflow_scripts.small_models.contrast import contrastive_loss, warm_cosine
from workflow_scripts.small_models.token_data import TokenCorpus

PART = 200
SMALLEST_COUNT = 3
_RIDGE = 0.01
_FIRST_TEMPERATURE = 0.05


@dataclass(frozen=True)
class RetrievalTeacher:
    """What pictures and training captions should be projected to, both of length 1."""

    image_map: nn.Linear  # mean tokens [N, D] -> [N, P], to be normalised
    texts: list[str]
    text_targets: Tensor  # [C, P]
    temperature: float


class EncodedTexts(nn.Module):
    """A linear map of the text encoder's standardised mean outputs [C, W]."""

    def __init__(self, means: Tensor, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("standardised", (means - means.mean(0)) / (means.std(0) + 1e-6))
        self.linear = _linear(means.shape[1], width, generator)

    def forward(self, rows: Sequence[int]) -> Tensor:
        return self.linear(self.standardised[list(rows)])


class WordBags(nn.Module):
    """A sum of word vectors; words are left out while training."""

    def __init__(self, texts: Sequence[str], width: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        bags = [words_of(text) for text in texts]
        counts = Counter(word for bag in bags for word in bag)
        known = {word: at for at, word in enumerate(word for word, n in counts.items() if n >= SMALLEST_COUNT)}
        self.bags = [[known[word] for word in bag if word in known] for bag in bags]
        self.dropout, self.generator = dropout, generator
        self.words = nn.EmbeddingBag(max(1, len(known)), width, mode="sum")
        self.words.weight.data.normal_(std=0.01, generator=generator)

    def forward(self, rows: Sequence[int]) -> Tensor:
        bags = [self.bags[row] for row in rows]
        flat = torch.tensor([word for bag in bags for word in bag], dtype=torch.long)
        starts = torch.tensor([0, *(len(bag) for bag in bags)][:-1]).cumsum(0)
        weights = None
        if self.training:
            kept = torch.rand(len(flat), generator=self.generator) >= self.dropout
            weights = kept / (1 - self.dropout)
        return self.words(flat, starts, per_sample_weights=weights)


def solve_teacher(
    model: OfflineBlip2Qformer, corpus: TokenCorpus, settings: LinearStartSettings, seed: int
) -> RetrievalTeacher:
    """Solve all members on the training pictures and make one of them; `model` encodes the texts as it is."""
    generator = torch.Generator().manual_seed(seed)
    model.eval()
    with torch.no_grad():
        means = torch.cat([normed_tokens(model, corpus, part).mean(1) for part in parts(corpus.train)])
        texts, owners = _captions(corpus)
        encoded = _mean_outputs(model, texts)
    width = model.vision_proj.out_features
    images, captions, temperatures = [], [], []
    for _ in range(settings.members):
        bags = WordBags(texts, width, settings.word_dropout, generator)
        for view in (EncodedTexts(encoded, width, generator), bags):
            image_map, temperature = _solve(means, view, owners, width, settings, generator)
            with torch.no_grad():
                images.append(F.normalize(image_map(means), dim=-1))
                view.eval()
                projected = [view(part) for part in parts(range(len(texts)))]
                captions.append(F.normalize(torch.cat(projected), dim=-1))
            temperatures.append(temperature)
    image_targets, text_targets = _joined(images, captions, width)
    return RetrievalTeacher(ridge(means, image_targets), texts, text_targets, sum(temperatures) / len(temperatures))


def _solve(
    means: Tensor,
    view: nn.Module,
    owners: list[range],
    width: int,
    settings: LinearStartSettings,
    generator: torch.Generator,
) -> tuple[nn.Linear, float]:
    """One member: trains `view` and returns the map of mean tokens [N, D] and the temperature."""
    image_map = _linear(means.shape[1], width, generator)
    scale = nn.Parameter(torch.tensor(-math.log(_FIRST_TEMPERATURE)))
    optimizer = torch.optim.AdamW(
        [{"params": [*image_map.parameters(), *view.parameters()]}, {"params": [scale], "weight_decay": 0.0}],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    size = min(settings.batch_size, len(means))
    steps = settings.epochs * (len(means) // size)
    step = 0
    while step < steps:
        order = torch.randperm(len(means), generator=generator)
        for chosen in order.split(size)[: len(means) // size]:
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * warm_cosine(step, steps)
            kept = torch.rand(len(chosen), means.shape[1], generator=generator) >= settings.dropout
            images = F.normalize(image_map(means[chosen] * kept / (1 - settings.dropout)), dim=-1)
            drawn = torch.rand(len(chosen), generator=generator).tolist()
            rows = [
                owners[index][int(at * len(owners[index]))] for index, at in zip(chosen.tolist(), drawn, strict=True)
            ]
            similarity = images @ F.normalize(view(rows), dim=-1).t() * scale.exp()
            loss = contrastive_loss(similarity, settings.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return image_map.requires_grad_(False), 1 / scale.exp().item()


def _joined(images: list[Tensor], captions: list[Tensor], width: int) -> tuple[Tensor, Tensor]:
    """Members' projections, M times [N, P] and [C, P], side by side and brought back to P dimensions of length 1."""
    sides = [torch.cat([member - member.mean(0) for member in side], dim=1) for side in (images, captions)]
    covariance = sum(side.t() @ side / len(side) for side in sides)
    directions = torch.linalg.eigh(covariance).eigenvectors[:, -width:]
    first, second = (F.normalize(side @ directions, dim=-1) for side in sides)
    return first, second


def ridge(inputs: Tensor, targets: Tensor) -> nn.Linear:
    """The linear map of inputs [N, D] to targets [N, P] with the least squares, lightly regularised."""
    centre, goal = inputs.mean(0), targets.mean(0)
    moved = inputs - centre
    penalty = _RIDGE * len(moved) * moved.var() * torch.eye(moved.shape[1])
    weight = torch.linalg.solve(moved.t() @ moved + penalty, moved.t() @ (targets - goal))
    linear = nn.Linear(*weight.shape).requires_grad_(False)
    linear.weight.copy_(weight.t())
    linear.bias.copy_(goal - centre @ weight)
    return linear


def normed_tokens(model: OfflineBlip2Qformer, corpus: TokenCorpus, keys: Sequence[str]) -> Tensor:
    """Tokens [N, T, D] of training pictures, as the Q-Former sees them."""
    return model.ln_vision(model.visual_encoder(corpus.tokens_of(keys)))


def parts(items: Sequence, size: int = PART) -> Iterator[Sequence]:
    """A sequence in pieces."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    linear.weight.data.normal_(std=inputs**-0.5, generator=generator)
    linear.bias.data.zero_()
    return linear


def _captions(corpus: TokenCorpus) -> tuple[list[str], list[range]]:
    """All training captions, and the rows that belong to each picture."""
    texts: list[str] = []
    owners = []
    for key in corpus.train:
        owners.append(range(len(texts), len(texts) + len(corpus.captions[key])))
        texts += corpus.captions[key]
    return texts, owners


def _mean_outputs(model: OfflineBlip2Qformer, texts: Sequence[str]) -> Tensor:
    """The text encoder's outputs [C, W], averaged over a text's tokens."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    outputs = torch.empty(len(texts), model.text_proj.in_features)
    for rows in parts(order):
        tokens = model.tokenizer(
            [texts[row] for row in rows],
            padding=True,
            truncation=True,
            max_length=model.max_txt_len,
            return_tensors="pt",
        )
        hidden = model.Qformer.bert(
            tokens.input_ids, attention_mask=tokens.attention_mask, return_dict=True
        ).last_hidden_state
        mask = tokens.attention_mask.unsqueeze(-1)
        outputs[rows] = (hidden * mask).sum(1) / mask.sum(1)
    return outputs
