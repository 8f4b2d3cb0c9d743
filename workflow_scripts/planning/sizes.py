"""How much there is to do: pictures, samples, tokens, questions; from files that are there, or from what is known."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.chain import Chain, Product
from workflow_scripts.command_line import read_json
from workflow_scripts.planning.known import known, known_row

IMAGE_TOKENS = 32
# Five captions a picture, as COCO; what of the world is a set of Conceptual Captions has one.
_CAPTIONS_OF_WORLD = {"coco_train2017": 5, "conceptual_captions": 1}


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
    world = chain.scale.world
    if world is None:
        row = known_row("image_sets", image_set)
        return row["images"], row.get("live", 1.0), row["source"]
    counts = world.model_dump()
    fields = {
        "coco_train2014": ["coco_train2014", "coco_train2014_evaluation"],
        "coco_val2014": ["coco_val2014", "coco_val2014_validation"],
        "visual_genome": ["visual_genome", "visual_genome_test", "visual_genome_validation"],
    }.get(image_set, [image_set])
    live = 1 - world.dead_link_share if image_set == "conceptual_captions" else 1.0
    if image_set == "colour_matched":
        return 5 * world.colour_matched_groups, 1.0, "settings of the world"
    return sum(counts[name] for name in fields), live, "settings of the world"


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
    tasks = _shares(chain, stage, results)
    rows = [(share, known_row("tasks", task)) for task, share in tasks.items()]
    around = queries + known()["prompt_tokens"]["count"]
    answer = sum(share * row["answer"] for share, row in rows)
    tokens = around + answer + sum(share * row["query"] for share, row in rows)
    longest = around + max(row["longest"] for _, row in rows)
    return SampleSizes(count, tokens, answer, longest, "assumed tokens of each task")


def _sample_count(chain: Chain, stage: str, results: Path) -> tuple[int, bool]:
    product = chain.samples(stage)
    manifest = results / product.path / "manifest.json"
    if manifest.is_file():
        return int(read_json(manifest)["count"]), True
    if stage == "pretrain":
        mixed = sum(_mix_samples(chain.mix(name)) for name in chain.scale.pretrain_with)
        return sum(_captions(chain, name, results) for name in chain.scale.roles.pretraining) + mixed, False
    return _mix_samples(product), False


def _mix_samples(mix: Product) -> int:
    settings: Any = mix.settings
    return settings.samples or known_row("mixes", mix.name)["samples"]


def _captions(chain: Chain, image_set: str, results: Path) -> int:
    images = images_of(chain, image_set, results)
    if chain.scale.world is not None:
        return images.count * _CAPTIONS_OF_WORLD.get(image_set, 1)
    row = known_row("image_sets", image_set)
    return round(row["captions"] * images.asked / row["images"])


def _shares(chain: Chain, stage: str, results: Path) -> dict[str, float]:
    """The tasks of the samples of a stage, as shares of them."""
    counts: Counter[str] = Counter()
    if stage == "pretrain":
        counts["caption"] = sum(_captions(chain, name, results) for name in chain.scale.roles.pretraining)
    for mix in map(chain.mix, chain.scale.pretrain_with) if stage == "pretrain" else [chain.samples(stage)]:
        settings: Any = mix.settings
        counts.update({task: share * _mix_samples(mix) for task, share in settings.shares.items()})
    return {task: count / counts.total() for task, count in counts.items()}


def questions_of(chain: Chain, product: Product, results: Path) -> int:
    """Return how many questions a benchmark asks."""
    manifest = results / product.path / "manifest.json"
    if manifest.is_file() and "count" in (record := read_json(manifest)):
        return int(record["count"])
    settings: Any = product.settings
    return settings.questions or known_row("benchmarks", product.name)["questions"]
