"""Score referring expressions: accuracy at IoU 0.5 and mean IoU of the predicted boxes."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.command_line import run_command
from workflow_scripts.data.boxes import parse_box
from workflow_scripts.evaluation.predictions import match_questions, read_predictions, read_questions
from workflow_scripts.evaluation.scores import add_common_arguments, break_down, figure, write_scores

DEFINITION = (
    "Share of the expressions whose predicted box has an intersection over union of at least 0.5 with the annotated "
    "one (Acc@0.5 of RefCOCO; Yu et al. 2016), boxes as x, y, width, height in pixels of the original image; a reply "
    "without a box that can be read counts as wrong, with IoU 0. Intervals: bootstrap over images."
)

Box = tuple[float, float, float, float]


def intersection_over_union(first: Box, second: Box) -> float:
    """IoU of two boxes x, y, width, height in pixels, as REFER computes it on continuous edges; 0 without area."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    common = max(0.0, width) * max(0.0, height)
    union = first[2] * first[3] + second[2] * second[3] - common
    return common / union if union > 0 else 0.0


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True, help="benchmark table with box and image size")
    add_common_arguments(parser)
    arguments = parser.parse_args(argv)

    questions = read_questions(arguments.questions)
    pairs = match_questions(read_predictions(arguments.predictions), questions, arguments.predictions)
    overlaps, unparsable, degenerate, outside = [], 0, 0, 0
    for question, row in pairs:
        wanted = question.get("box")
        if wanted is None or len(wanted) != 4 or not all(map(math.isfinite, wanted)) or min(wanted[2:]) <= 0:
            raise ValueError(f"Question {question['question_id']} has no box with an area to compare with: {wanted}.")
        width, height = question["image_width"], question["image_height"]
        box = parse_box(row["prediction"], width, height)
        if box is None:
            unparsable += 1
            overlaps.append(0.0)
            continue
        degenerate += min(box[2:]) <= 0
        # A percent is rounded, so that an edge may stand up to one percent outside and still mean the border.
        outside += box[0] + box[2] > width * 1.01 or box[1] + box[3] > height * 1.01
        overlaps.append(intersection_over_union(tuple(box), tuple(wanted)) if min(box[2:]) > 0 else 0.0)
    values = np.array(overlaps)
    hits = (values >= 0.5).astype(float)
    images = [question["image"] for question, _ in pairs]
    write_scores(
        arguments,
        "score_rec",
        argv,
        definition=DEFINITION,
        figures=[
            figure(f"{arguments.id}.accuracy_iou50", hits, images, arguments.seed),
            figure(f"{arguments.id}.mean_iou", values, images, arguments.seed),
        ],
        inputs=[arguments.predictions, arguments.questions],
        breakdown=break_down(hits, [question.get("kind") for question, _ in pairs]),
        unparsable=unparsable,
        without_area=degenerate,
        outside_the_image=outside,
    )


if __name__ == "__main__":
    run_command(main)
