"""How much there is to do: pictures, samples, tokens, questions; from files that are there, or from what is known."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.catalogue.benchmarks import CAPTION, Tokens, split_part
from workflow_scripts.catalogue.data_sets import Expected
from workflow_scripts.chain import Chain
from workflow_scripts.command_line import read_json
from workflow_scripts.planning.known import known
from workflow_scripts.product import Product

IMAGE_TOKENS = 32


@dataclass(frozen=True)
class Images:
    """Pictures of a set: `asked` are looked for, `count` are there in the end."""

    asked: int
    count: int
    basis: str


@dataclass(frozen=True)
class SampleSizes:
    """Samples of a training: how many, their mean tokens and answer tokens, and the longest that fill a batch."""

    count: int
    tokens: float
    answer_tokens: float
    longest: int
    basis: str


def images_of(chain: Chain, image_set: str, results: Path) -> Images:
    """Return how many pictures an image set has."""
    manifest = results / chain.images(image_set).path / "manifest.json"
    if manifest.is_file():
        count = int(read_json(manifest)["count"])
        return Images(count, count, "counted")
    asked, live, basis = _images_to_come(chain, image_set)
    maximum = chain.scale.maximum_images.get(image_set)
    asked = min(asked, maximum) if maximum else asked
    return Images(asked, round(asked * live), basis)


def _images_to_come(chain: Chain, image_set: str) -> tuple[int, float, str]:
    if chain.scale.world is not None:
        return *chain.scale.world.images_of(image_set), "settings of the world"
    row = _expected(chain, image_set)
    return row.images, row.live, row.source


def _expected(chain: Chain, image_set: str) -> Expected:
    row = chain.rows.image_set(image_set).expected
    if row is None:
        raise ValueError(
            f"A plan needs the number of images of {image_set} before they are there; give its row of the catalogue "
            "`expected: {images: ..., captions: ..., source: ...}`."
        )
    return row


def samples_of(chain: Chain, stage: str, results: Path, queries: int = IMAGE_TOKENS) -> SampleSizes:
    """Return the sizes of the samples that a training stage learns from, `queries` being its image tokens."""
    run = chain.run(stage)
    count, counted = _sample_count(chain, stage, results)
    bounds = results / run.path / "prepared" / "samples" / "bounds.npy"
    if counted and bounds.is_file():
        table = np.load(bounds)
        lengths, answers = table[:, 3] - table[:, 0] + queries, table[:, 3] - table[:, 2]
        longest = int(np.sort(lengths)[-min(len(lengths), run.settings.batch_size) :].min())
        return SampleSizes(count, float(lengths.mean()), float(answers.mean()), longest, "tokenised samples")
    rows = [(share, _tokens(chain, task)) for task, share in _shares(chain, stage, results).items()]
    around = queries + known()["prompt_tokens"]["count"]
    answer = sum(share * row.answer for share, row in rows)
    tokens = around + answer + sum(share * row.query for share, row in rows)
    longest = around + max(row.longest for _, row in rows)
    return SampleSizes(count, tokens, answer, longest, "assumed tokens of each task")


def _tokens(chain: Chain, task: str) -> Tokens:
    tokens = chain.rows.task(task).tokens
    if tokens is None:
        raise ValueError(f"A plan needs the tokens of a sample of {task}; give its row of the catalogue `tokens`.")
    return tokens


def _sample_count(chain: Chain, stage: str, results: Path) -> tuple[int, bool]:
    manifest = results / chain.samples_of(stage).path / "manifest.json"
    if manifest.is_file():
        return int(read_json(manifest)["count"]), True
    return sum(_count_of(chain, name, results) for name in chain.scale.stages[stage].samples), False


def _count_of(chain: Chain, name: str, results: Path) -> int:
    """How many samples a table will have."""
    settings = chain.scale.samples[name]
    if not settings.is_drawn:
        return sum(_captions(chain, image_set, results) for image_set in chain.image_sets_of_samples([name]))
    if settings.count is not None:
        return settings.count
    # The scarcest part decides, of those whose records are known.
    known_parts = [
        int(records / share)
        for part, share in settings.shares.items()
        if (records := _records(chain, part)) is not None
    ]
    if not known_parts:
        raise ValueError(
            f"A plan needs the number of samples of {name}, which takes all that there are; give a split of a data set "
            "of its parts `records` in the catalogue, or the samples a count."
        )
    return min(known_parts)


def _records(chain: Chain, part: str) -> int | None:
    return chain.rows.data_set(split_part(part)[0]).split("train").records


def _captions(chain: Chain, image_set: str, results: Path) -> int:
    images = images_of(chain, image_set, results)
    if chain.scale.world is not None:
        return images.count * chain.scale.world.captions_of(image_set)
    row = _expected(chain, image_set)
    return round(row.captions * images.asked / row.images)


def _shares(chain: Chain, stage: str, results: Path) -> dict[str, float]:
    """The tasks of the samples of a stage, as shares of them."""
    counts: Counter[str] = Counter()
    for name in chain.scale.stages[stage].samples:
        settings, count = chain.scale.samples[name], _count_of(chain, name, results)
        shares = settings.shares if settings.is_drawn else {f"/{CAPTION}": 1.0}
        for part, share in shares.items():
            counts[part.partition("/")[2]] += share * count
    return {task: count / counts.total() for task, count in counts.items()}


def questions_of(chain: Chain, product: Product, results: Path) -> int:
    """Return how many questions a benchmark asks."""
    manifest = results / product.path / "manifest.json"
    if manifest.is_file() and "count" in (record := read_json(manifest)):
        return int(record["count"])
    settings: Any = product.settings
    row = chain.rows.benchmark(product.name).questions
    if settings.questions is None and row is None:
        raise ValueError(
            f"A plan needs the number of questions of {product.name}; give its row of the catalogue `questions`."
        )
    return settings.questions or row.count
