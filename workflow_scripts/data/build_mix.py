"""Draw a finetuning mix: image, query and answer of several tasks in exact proportions."""

import argparse
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.config.data import MixSettings
from workflow_scripts.data.boxes import format_box
from workflow_scripts.data.captions import Caption
from workflow_scripts.data.exclusions import EXCLUDED, read_exclusions
from workflow_scripts.data.readers import daquar, flickr8k, minigpt4, okvqa, refcoco, visual_genome
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.data.splits import Splits
from workflow_scripts.data.statements import make_statements
from workflow_scripts.data.tables import SAMPLE_SCHEMA, sorted_counts, write_table
from workflow_scripts.data.templates import (
    CAPTION_TEMPLATES,
    DESCRIPTION_TEMPLATES,
    EXPRESSION_TEMPLATES,
    RELATIONSHIP_TEMPLATES,
)
from workflow_scripts.data.text import normalise_answer, normalise_caption, normalise_query

logger = logging.getLogger("build_mix")

Row = dict[str, str]
DATA_SETS = ("visual_genome", "minigpt4", "okvqa", "refcoco", "daquar", "flickr8k")


class Candidates:
    """Samples to draw from, by task; queries that a template words are worded when drawn."""

    def __init__(self, excluded: frozenset[str] = frozenset()) -> None:
        self.excluded = excluded
        self.by_task: dict[str, list[Row]] = {}
        self.removed: Counter[str] = Counter()

    def add(self, task: str, image_set: ImageSet, image_id: str, source_id: str, query: str, answer: str) -> None:
        """Add a sample if its picture is there and it has words."""
        query, answer = normalise_query(query), normalise_answer(answer) if task == "vqa" else normalise_query(answer)
        if image_id not in image_set.images:
            self.removed["picture could not be fetched"] += 1
        elif image_set.key(image_id) in self.excluded:
            self.removed[EXCLUDED] += 1
        elif not answer or not query:
            self.removed["query or answer is empty"] += 1
        else:
            row = {"image": image_set.key(image_id), "query": query, "answer": answer, "task": task}
            self.by_task.setdefault(task, []).append({**row, "source_id": source_id})


def collect(
    data_set: str, folder: Path, image_set: ImageSet, split_file: Path | None, seed: int, candidates: Candidates
) -> None:
    """Add the training samples of a data set; held-out images are left out and counted."""
    rng = random.Random(f"{seed} wording {data_set}")
    if data_set == "visual_genome":
        _collect_genome(folder, image_set, Splits(image_set.name, split_file), rng, candidates)
    elif data_set == "minigpt4":
        descriptions, removed = minigpt4.read_descriptions(folder)
        candidates.removed.update(removed)
        for item in descriptions:
            query = rng.choice(DESCRIPTION_TEMPLATES)
            candidates.add("description", image_set, item.image_id, item.image_id, query, item.text)
    elif data_set == "okvqa":
        questions, removed = okvqa.read_questions(folder, "train2014")
        candidates.removed.update(removed)
        for item in questions:
            candidates.add("okvqa", image_set, item.image_id, item.id, item.query, item.raw_answer)
    elif data_set == "refcoco":
        expressions, images, removed = refcoco.read_expressions(folder)
        candidates.removed.update(removed)
        for item in expressions:
            if item.split != "train":
                candidates.removed["held out"] += 1
                continue
            query = rng.choice(EXPRESSION_TEMPLATES).format(expression=item.phrase)
            box = format_box(item.box, images[item.image_id].width, images[item.image_id].height)
            candidates.add("refcoco", image_set, item.image_id, item.id, query, box)
    elif data_set == "daquar":
        asked, removed = daquar.read_questions(folder, "train")
        candidates.removed.update(removed)
        splits = Splits(image_set.name, split_file)
        for item in asked:
            if splits.of(item.image_id) == "train":
                candidates.add("vqa", image_set, item.image_id, item.id, item.query, item.answer)
            else:
                candidates.removed["held out"] += 1
    elif data_set == "flickr8k":
        _collect_captions(folder, image_set, rng, candidates)
    else:
        raise ValueError(f"There is no mix of the data set {data_set!r}; choose from {', '.join(DATA_SETS)}.")


def _collect_genome(
    folder: Path, image_set: ImageSet, splits: Splits, rng: random.Random, candidates: Candidates
) -> None:
    questions, removed = visual_genome.read_questions(folder)
    candidates.removed.update(removed)
    for item in questions:
        if splits.of(item.image_id) == "train":
            candidates.add("vqa", image_set, item.image_id, item.id, item.query, item.answer)
        else:
            candidates.removed["held out"] += 1
    relationships, removed = visual_genome.read_relationships(folder)
    candidates.removed.update(removed)
    for item in relationships:
        if splits.of(item.image_id) == "train":
            query = rng.choice(RELATIONSHIP_TEMPLATES).format(subject=item.subject, object=item.object)
            answer = f"{item.subject} {item.predicate} {item.object}"
            candidates.add("relationship", image_set, item.image_id, item.id, query, answer)
        else:
            candidates.removed["held out"] += 1


def _collect_captions(folder: Path, image_set: ImageSet, rng: random.Random, candidates: Candidates) -> None:
    """Add each caption of the set's pictures as a description, and as a statement that is true or not."""
    captions, removed = flickr8k.read_captions(folder)
    candidates.removed.update(removed)
    known = image_set.images.keys() | image_set.failed.keys()
    there: list[Caption] = []
    for item in captions:
        text = normalise_caption(item.text)
        if item.image_id not in known:
            continue
        query = rng.choice(CAPTION_TEMPLATES)
        candidates.add("description", image_set, item.image_id, item.id, query, text)
        if text and item.image_id in image_set.images:
            there.append(Caption(item.id, item.image_id, text))
    for statement in make_statements(there, rng):
        candidates.add("is_true", image_set, statement.image_id, statement.id, statement.query, statement.answer)


def exact_counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Share a total out in whole numbers that add up to it, by the largest remainder."""
    exact = {task: total * share / sum(shares.values()) for task, share in shares.items()}
    counts = {task: int(value + 1e-9) for task, value in exact.items()}
    by_remainder = sorted(shares, key=lambda task: (-(exact[task] - counts[task]), list(shares).index(task)))
    for task in by_remainder[: total - sum(counts.values())]:
        counts[task] += 1
    return counts


def draw(candidates: Mapping[str, list[Row]], settings: MixSettings) -> list[Row]:
    """Draw the mix without replacement and shuffle it; too few samples of a task are a ValueError.

    As many statements are true as are false.
    """
    rows: list[Row] = []
    for task, count in exact_counts(mix_size(candidates, settings), settings.shares).items():
        there = candidates.get(task, [])
        if len(there) < count:
            raise ValueError(
                f"The mix wants {count} samples of the task {task}, but there are {len(there)}; lower mix.samples to "
                f"{int(len(there) / settings.shares[task])} or the share of {task}, or fetch more data."
            )
        rng = random.Random(f"{settings.seed} draw {task}")
        if task == "is_true":
            rows.extend(rng.sample([row for row in there if row["answer"] == "yes"], count - count // 2))
            rows.extend(rng.sample([row for row in there if row["answer"] == "no"], count // 2))
        else:
            rows.extend(rng.sample(there, count))
    random.Random(f"{settings.seed} order").shuffle(rows)
    return rows


def mix_size(candidates: Mapping[str, list[Row]], settings: MixSettings) -> int:
    """Return how many samples the mix has: the wanted number, or all that the shares allow."""
    if settings.samples is not None:
        return settings.samples
    fits = {task: int(len(candidates.get(task, [])) / share + 1e-9) for task, share in settings.shares.items()}
    scarce = min(fits, key=lambda task: fits[task])
    if not fits[scarce]:
        raise ValueError(f"There is no sample of the task {scarce}, of which the mix wants a share; fetch more data.")
    return fits[scarce]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--source DATA_SET ANNOTATIONS IMAGES [...] --settings JSON --output DIR [--split-file F]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source",
        nargs=3,
        action="append",
        required=True,
        metavar=("DATA_SET", "ANNOTATIONS", "IMAGES"),
        help=f"one of {', '.join(DATA_SETS)}, folder of its annotations, folder of its pictures",
    )
    parser.add_argument("--settings", default="{}", help="JSON of MixSettings")
    parser.add_argument("--split-file", type=Path, help="JSON {image set: {split: [ids]}}; else by hash of the id")
    parser.add_argument("--exclude", type=Path, help="list of pictures to leave out (list_exclusions)")
    parser.add_argument("--output", type=Path, required=True, help="folder for samples.parquet and manifest.json")
    arguments = parser.parse_args(argv)
    settings = MixSettings.model_validate_json(arguments.settings)
    candidates = Candidates(read_exclusions(arguments.exclude))
    for data_set, annotations, images in arguments.source:
        image_set = ImageSet.open(Path(images))
        collect(data_set, Path(annotations), image_set, arguments.split_file, settings.seed, candidates)
    rows = draw(candidates.by_task, settings)
    more = {
        "available": {task: len(there) for task, there in sorted(candidates.by_task.items())},
        "removed": sorted_counts(candidates.removed),
        "settings": settings.defining(),
    }
    manifest = write_table(arguments.output, "samples.parquet", rows, SAMPLE_SCHEMA, more)
    logger.info("%d samples: %s", len(rows), manifest["tasks"])


if __name__ == "__main__":
    run_command(main)
