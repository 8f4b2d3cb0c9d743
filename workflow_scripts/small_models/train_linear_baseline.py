"""Trains the linear retrieval baseline by contrast on the tokens of a frozen vision encoder."""

import argparse
import json
import logging
import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from workflow_scripts.command_line import run_command, write_atomically
from workflow_scripts.config.vision import LinearBaselineSettings
from workflow_scripts.models.linear_baseline import LinearBaseline, scaled, words_of
from workflow_scripts.small_models.contrast import contrastive_loss, warm_cosine
from workflow_scripts.small_models.publish_model import write_card, write_checksums
from workflow_scripts.small_models.retrieval_check import recall
from workflow_scripts.small_models.token_data import TokenCorpus

log = logging.getLogger(__name__)
SMALLEST_COUNT = 2
TEMPERATURE = 0.07  # to begin with, as in LAVIS
CARD = """\
Mean-pooled tokens of the frozen vision encoder by one linear map, a sum of word vectors, and their cosine: no
attention, no order of words. It says what the Q-Former adds.
"""


def train_linear_baseline(
    pairs: Path, stores: Sequence[Path], settings: LinearBaselineSettings, output: Path
) -> dict[str, float]:
    """Train, write the model's folder and return validation figures in per cent."""
    torch.manual_seed(settings.seed)
    rng = random.Random(settings.seed)
    corpus = TokenCorpus(pairs, stores)
    counts = Counter(word for key in corpus.train for text in corpus.captions[key] for word in words_of(text))
    vocabulary = sorted(word for word, count in counts.items() if count >= SMALLEST_COUNT)
    means = dict(zip(corpus.tokens.keys, torch.from_numpy(corpus.tokens.means()), strict=True))
    model = LinearBaseline(vocabulary, next(iter(means.values())).shape[0], settings.width)
    ids = {key: [model.word_ids(text) for text in corpus.captions[key]] for key in corpus.train}
    scale = torch.nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))
    optimizer = torch.optim.AdamW(
        [{"params": model.parameters()}, {"params": [scale], "weight_decay": 0.0}],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    size = min(settings.batch_size, len(corpus.train))
    steps = settings.epochs * (len(corpus.train) // size)
    source = corpus.batches(size, f"{settings.seed} linear baseline")
    lines = []
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * warm_cosine(step, steps)
        keys = next(source)
        images = model.image_map(F.dropout(_inputs(means, keys), settings.dropout))
        chosen = [[index for index in rng.choice(ids[key]) if rng.random() >= settings.word_dropout] for key in keys]
        texts = model.embed_words(chosen)
        similarity = F.normalize(images, dim=-1) @ texts.t() * scale.exp()
        loss = contrastive_loss(similarity)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == steps:
            lines.append(json.dumps({"step": step, "of": steps, "loss": round(loss.item(), 4)}))
            log.info("step %d of %d loss %.3f", step, steps, loss.item())
    figures = _validate(model.eval().requires_grad_(False), corpus, means)
    (output / "SHA256SUMS").unlink(missing_ok=True)
    model.save(output)
    write_atomically(output / "metrics.jsonl", "\n".join(lines) + "\n")
    named = {f"validation {name}, {len(corpus.validation)} pictures": value for name, value in figures.items()}
    write_card(output, "Linear retrieval baseline", CARD, settings, named)
    write_checksums(output)
    return figures


def _inputs(means: dict[str, torch.Tensor], keys: Sequence[str]) -> torch.Tensor:
    return scaled(torch.stack([means[key] for key in keys]))


def _validate(model: LinearBaseline, corpus: TokenCorpus, means: dict[str, torch.Tensor]) -> dict[str, float]:
    keys = corpus.validation
    if not keys:
        return {}
    images = model.embed_means(torch.stack([means[key] for key in keys]))
    figures = recall(model.embed_texts([corpus.captions[key][0] for key in keys]) @ images.t())
    log.info("validation, %d pictures: %s", len(keys), {name: round(value, 1) for name, value in figures.items()})
    return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Train the linear retrieval baseline."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--pairs", required=True, type=Path, help="samples.parquet of the filtered pairs")
    parser.add_argument("--tokens", required=True, type=Path, nargs="+", help="token stores of their image sets")
    parser.add_argument("--settings", required=True, help="LinearBaselineSettings as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder of the model")
    arguments = parser.parse_args(argv)
    settings = LinearBaselineSettings.model_validate_json(arguments.settings)
    train_linear_baseline(arguments.pairs, arguments.tokens, settings, arguments.output)


if __name__ == "__main__":
    run_command(main)
