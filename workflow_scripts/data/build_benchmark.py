"""Draw the questions of an evaluation from held-out images."""

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.config.data import BenchmarkSettings
from workflow_scripts.data.boxes import format_box
from workflow_scripts.data.photo_questions import about_captions, about_rooms, about_truth
from workflow_scripts.data.question_table import QuestionTable, Row
from workflow_scripts.data.readers import gqa, okvqa, refcoco, visual_genome
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.data.splits import SPLIT_NAMES, Splits
from workflow_scripts.data.tables import QUESTION_SCHEMA, sorted_counts, write_table
from workflow_scripts.data.templates import EXPRESSION_TEMPLATES, RELATIONSHIP_TEMPLATES
from workflow_scripts.data.text import expression_kind, normalise_answer, normalise_query, question_kind
from workflow_scripts.sources.registry import TABLE, load_registry

logger = logging.getLogger("build_benchmark")

OF_PHOTOS = {
    "coco_retrieval": about_captions,
    "colour_matched": about_captions,
    "flickr8k_retrieval": about_captions,
    "flickr8k_captions": about_captions,
    "flickr8k_is_true": about_truth,
    "daquar": about_rooms,
}
BENCHMARKS = ("visual_genome", "okvqa", "refcoco", "gqa", *OF_PHOTOS)
GQA_FILE = "testdev_balanced_questions.json"
REFCOCO_SPLITS = {"train": "train", "test": "val", "validation": "testB"}
"""The report evaluates on RefCOCO's val; settings are chosen on testB."""


class Builder(QuestionTable):
    """The questions of each benchmark but those about photographs, which have a module of their own."""

    def visual_genome(self, folder: Path) -> list[Row]:
        """Questions and relationships in the wanted ratio; a pair with several predicates has several answers."""
        questions, removed = visual_genome.read_questions(folder)
        relationships, removed_too = visual_genome.read_relationships(folder)
        self.removed.update(removed + removed_too)
        asked: list[Row] = []
        for item in questions:
            if self.splits.of(item.image_id) != self.split:
                continue
            query = normalise_query(item.query)
            row = self.row(f"qa-{item.id}", item.image_id, query, normalise_answer(item.answer), "vqa")
            if row:
                asked.append({**row, "kind": question_kind(query)})
        related: dict[tuple[str, str, str], Row] = {}
        for item in relationships:
            if self.splits.of(item.image_id) != self.split:
                continue
            subject, predicate, object_ = map(normalise_query, (item.subject, item.predicate, item.object))
            key, answer = (item.image_id, subject, object_), f"{subject} {predicate} {object_}"
            if key in related:
                if answer not in related[key]["answers"]:
                    related[key]["answers"].append(answer)
                continue
            query = self.rng.choice(RELATIONSHIP_TEMPLATES).format(subject=subject, object=object_)
            row = self.row(f"relationship-{item.id}", item.image_id, query, answer, "relationship", kind="relation")
            if row:
                related[key] = row
        share = self.settings.relationship_share
        total = self.settings.questions
        if total is None:
            limits = [len(asked) / (1 - share) if share < 1 else None, len(related) / share if share else None]
            total = int(min(limit for limit in limits if limit is not None))
        wanted = round(total * share)
        return self.sample(asked, total - wanted) + self.sample(list(related.values()), wanted)

    def okvqa(self, folder: Path) -> list[Row]:
        """Questions of val2014 with their ten answers; the kind is OK-VQA's category."""
        questions, removed = okvqa.read_questions(folder, "val2014")
        self.removed.update(removed)
        rows = []
        for item in questions:
            if self.splits.listed and self.splits.of(item.image_id) != self.split:
                continue
            answers = [normalise_query(answer) for answer in item.answers]
            query, answer = normalise_query(item.query), normalise_query(item.answer)
            kind = item.category.lower() or question_kind(query)
            row = self.row(item.id, item.image_id, query, answer, "okvqa", answers=answers, kind=kind)
            if row:
                rows.append(row)
        return self.sample(rows, self.settings.questions)

    def refcoco(self, folder: Path) -> list[Row]:
        """Phrases with their boxes, in pixels of the original image."""
        expressions, images, removed = refcoco.read_expressions(folder)
        self.removed.update(removed)
        rows = []
        for item in expressions:
            if item.split != REFCOCO_SPLITS[self.split]:
                continue
            width, height = images[item.image_id].width, images[item.image_id].height
            query = self.rng.choice(EXPRESSION_TEMPLATES).format(expression=normalise_query(item.phrase))
            more = {"box": list(item.box), "kind": expression_kind(item.phrase)}
            answer = format_box(item.box, width, height)
            row = self.row(item.id, item.image_id, query, answer, "refcoco", **more)
            if row:
                rows.append({**row, "image_width": width, "image_height": height})
        return self.sample(rows, self.settings.questions)

    def gqa(self, folder: Path) -> list[Row]:
        """Questions of testdev-balanced; the kind is GQA's structural type."""
        questions, removed = gqa.read_questions(folder, GQA_FILE)
        self.removed.update(removed)
        rows = []
        for item in questions:
            query, answer = normalise_query(item.query), normalise_answer(item.answer)
            row = self.row(item.id, item.image_id, query, answer, "vqa", kind=item.kind or question_kind(query))
            if row:
                rows.append(row)
        return self.sample(rows, self.settings.questions)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--benchmark NAME --image-set NAME --annotations DIR --images DIR --settings JSON --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", choices=BENCHMARKS, required=True)
    parser.add_argument("--image-set", required=True, help="name of the image set in the registry")
    parser.add_argument("--annotations", type=Path, required=True, help="folder of the data set's annotations")
    parser.add_argument("--images", type=Path, required=True, help="folder of the stored image set")
    parser.add_argument(
        "--split", choices=(*SPLIT_NAMES, "dev"), default="test", help="dev is another word for validation"
    )
    parser.add_argument("--split-file", type=Path, help="JSON {image set: {split: [ids]}}; else by hash of the id")
    parser.add_argument("--settings", default="{}", help="JSON of BenchmarkSettings")
    parser.add_argument("--output", type=Path, required=True, help="folder for questions.parquet and manifest.json")
    parser.add_argument("--registry", type=Path, default=TABLE)
    arguments = parser.parse_args(argv)
    settings = BenchmarkSettings.model_validate_json(arguments.settings)
    image_set = ImageSet.open(arguments.images)
    if image_set.name != arguments.image_set:
        raise ValueError(f"{arguments.images} holds the image set {image_set.name}, not {arguments.image_set}.")
    split = "validation" if arguments.split == "dev" else arguments.split
    builder = Builder(image_set, settings, split, Splits(image_set.name, arguments.split_file))
    if arguments.benchmark in OF_PHOTOS:
        entry = load_registry(arguments.registry).image_set(arguments.image_set).lists[0]
        rows = OF_PHOTOS[arguments.benchmark](builder, entry, arguments.annotations)
    else:
        rows = getattr(builder, arguments.benchmark)(arguments.annotations)
    if not rows:
        raise ValueError(f"There is no question about {image_set.name} ({split}): {sorted_counts(builder.removed)}.")
    more = {
        "benchmark": arguments.benchmark,
        "split": split,
        "kinds": sorted_counts(Counter(row["kind"] for row in rows)),
        "removed": sorted_counts(builder.removed),
        "settings": settings.defining(),
    }
    write_table(arguments.output, "questions.parquet", rows, QUESTION_SCHEMA, more)
    logger.info("%s: %d questions about %d images", arguments.benchmark, len(rows), len({r["image"] for r in rows}))


if __name__ == "__main__":
    run_command(main)
