"""List the training pictures that evaluations ask about: the same COCO picture, whatever data set it is in."""

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.data.readers import coco, karpathy, okvqa, refcoco, visual_genome
from workflow_scripts.data.readers.common import find_file

logger = logging.getLogger("list_exclusions")

EVALUATIONS = ("karpathy", "okvqa", "refcoco")
TRAINING = ("coco_train2017", "visual_genome")


def evaluation_pictures(evaluation: str, folder: Path) -> dict[str, set[str]]:
    """Return COCO ids by what is asked about them: Karpathy's test, OK-VQA's validation, RefCOCO's val and tests."""
    if evaluation == "karpathy":
        return {"Karpathy test": set(karpathy.read_captions(folder, "test")[0])}
    if evaluation == "okvqa":
        questions, _ = okvqa.read_questions(folder, "val2014")
        return {"OK-VQA val": {question.image_id for question in questions}}
    expressions, _, _ = refcoco.read_expressions(folder)
    pictures: dict[str, set[str]] = {}
    for item in expressions:
        if item.split != "train":
            pictures.setdefault(f"RefCOCO {item.split}", set()).add(item.image_id)
    return pictures


def coco_ids(image_set: str, folder: Path) -> dict[str, str]:
    """Return by id the COCO id of every picture of a training set that is COCO's."""
    if image_set == "coco_train2017":
        images = coco.read_captions(find_file(folder, "captions_train2017.json")).images
        return {key: key for key in images}
    return {key: image.coco_id for key, image in visual_genome.read_images(folder)[0].items() if image.coco_id}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--evaluation NAME ANNOTATIONS [...] --training IMAGE_SET ANNOTATIONS [...] --output F.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    pair = {"nargs": 2, "action": "append", "required": True}
    parser.add_argument("--evaluation", metavar=("NAME", "ANNOTATIONS"), help=", ".join(EVALUATIONS), **pair)
    parser.add_argument("--training", metavar=("IMAGE_SET", "ANNOTATIONS"), help=", ".join(TRAINING), **pair)
    parser.add_argument("--output", type=Path, required=True, help="JSON {image_sets: {image set: {id: [reasons]}}}")
    arguments = parser.parse_args(argv)
    for name, known, what in (
        *((name, EVALUATIONS, "evaluation") for name, _ in arguments.evaluation),
        *((name, TRAINING, "training set") for name, _ in arguments.training),
    ):
        if name not in known:
            raise ValueError(f"There are no COCO ids of the {what} {name!r}; choose from {', '.join(known)}.")
    asked: dict[str, set[str]] = {}
    for name, folder in arguments.evaluation:
        asked |= evaluation_pictures(name, Path(folder))
    image_sets: dict[str, dict[str, list[str]]] = {}
    counts: dict[str, dict[str, int]] = {}
    for name, folder in arguments.training:
        found: dict[str, list[str]] = {}
        for key, coco_id in sorted(coco_ids(name, Path(folder)).items()):
            reasons = [reason for reason, pictures in asked.items() if coco_id in pictures]
            if reasons:
                found[key] = reasons
        image_sets[name] = found
        counts[name] = {"pictures": len(found), **Counter(reason for reasons in found.values() for reason in reasons)}
    evaluations = {reason: len(pictures) for reason, pictures in asked.items()}
    write_json(arguments.output, {"evaluations": evaluations, "counts": counts, "image_sets": image_sets})
    logger.info("%s", {name: count["pictures"] for name, count in counts.items()})


if __name__ == "__main__":
    run_command(main)
