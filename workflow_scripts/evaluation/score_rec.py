"""Score referring expressions: accuracy at IoU 0.5 and mean IoU of the predicted boxes, also by split.

The annotations are COCO's: {"images": [{"id", "width", "height"}], "annotations": [{"id", "image_id", "bbox",
"split"}]}, boxes as x, y, width, height in pixels of the original image, `split` where there are several. The
predictions are [{"id", "bbox"}] in the same pixels, or [{"id", "answer"}] with a reply of the model as it is. In place
of `id` both may have `question_id`, `sent_id` or `ref_id`. Predictions may be JSON lines. A benchmark table of this
workflow with its predictions will do as well.

Boxes are told as far as they can be, and what was told is said: in a reply {<x><y><w><h>} or, as MiniGPT-v2 has it,
{<x1><y1><x2><y2>} in per cents, [x1,y1,x2,y2] from 0 to 1 (Shikra, LLaVA), <box>(x1,y1),(x2,y2)</box> up to 1000
(Qwen-VL); as "bbox" x, y, width, height in pixels or from 0 to 1, or corners where nearly all are such. --form says it
outright. Replies that cannot be read count as wrong: from 5 % on there is a warning, and where none can be read, an
error.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import run_command
from workflow_scripts.evaluation.box_forms import FORMS
from workflow_scripts.evaluation.rec_files import Box, Expression, is_outside, read_official, read_table
from workflow_scripts.evaluation.scores import add_common_arguments, break_down, figure, per_question, write_scores

DEFINITION = (
    "Share of the expressions whose predicted box has an intersection over union of at least 0.5 with the annotated "
    "one (Acc@0.5 of RefCOCO; Yu et al. 2016), boxes as x, y, width, height in pixels of the original image; a reply "
    "without a box that can be read counts as wrong, with IoU 0. Intervals: bootstrap over images."
)


def intersection_over_union(first: Box, second: Box) -> float:
    """IoU of two boxes x, y, width, height in pixels, as REFER computes it on continuous edges; 0 without area."""
    if min(*first[2:], *second[2:]) <= 0:
        return 0.0
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    common = max(0.0, width) * max(0.0, height)
    return common / (first[2] * first[3] + second[2] * second[3] - common)


def count_unusual_boxes(expressions: Sequence[Expression]) -> dict[str, int]:
    """How many replies hold no box, one without area, one that leaves the picture; and how many annotated ones do."""
    boxes = [(one.reply, one.size) for one in expressions if one.reply]
    return {
        "unparsable": sum(one.reply is None for one in expressions),
        "without_area": sum(min(box[2:]) <= 0 for box, _ in boxes),
        "outside_the_image": sum(is_outside(box, size) for box, size in boxes),
        "annotated_outside_the_image": sum(is_outside(one.box, one.size) for one in expressions),
    }


def score_splits(expressions: Sequence[Expression], overlaps: np.ndarray, seed: int) -> dict[str, dict[str, Any]]:
    """Accuracy, mean IoU and unparsable replies of each split, from the overlaps [N]."""
    splits, images = [one.split for one in expressions], [one.image for one in expressions]
    hits = break_down(hits_of(overlaps), splits, images, seed)
    means = break_down(overlaps, splits, images, seed)
    return {
        split: {
            "accuracy_iou50": hits[split],
            "mean_iou": means[split],
            "unparsable": sum(one.reply is None for one in expressions if (one.split or "other") == split),
        }
        for split in hits
    }


def hits_of(overlaps: np.ndarray) -> np.ndarray:
    """Whether each overlap [N] is at least one half, 0 or 1."""
    return (overlaps >= 0.5).astype(float)


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, required=True, help="boxes or replies, JSON or JSON lines")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--annotations", type=Path, help="COCO's JSON with the annotated boxes")
    source.add_argument("--questions", type=Path, help="benchmark table with box and image size")
    parser.add_argument(
        "--form", choices=list(FORMS), help="how predicted boxes are written, where it cannot be told from them"
    )
    add_common_arguments(parser, "rec")
    arguments = parser.parse_args(argv)

    read = read_official if arguments.annotations else read_table
    source = arguments.annotations or arguments.questions
    expressions = read(source, arguments.predictions, arguments.split, arguments.form)
    overlaps = np.array([intersection_over_union(one.reply, one.box) if one.reply else 0.0 for one in expressions])
    hits, images = hits_of(overlaps), [one.image for one in expressions]
    write_scores(
        arguments,
        "score_rec",
        argv,
        definition=DEFINITION,
        figures=[
            figure(f"{arguments.id}.accuracy_iou50", hits, images, arguments.seed),
            figure(f"{arguments.id}.mean_iou", overlaps, images, arguments.seed),
        ],
        inputs=[arguments.predictions, arguments.annotations or arguments.questions],
        overall=round(100 * float(hits.mean()), 2),
        breakdown=break_down(hits, [one.kind for one in expressions], images, arguments.seed),
        per_split=score_splits(expressions, overlaps, arguments.seed),
        box_forms=dict(sorted(Counter(one.form for one in expressions if one.form).items())),
        **count_unusual_boxes(expressions),
        **per_question([one.id for one in expressions], hits, images),
    )


if __name__ == "__main__":
    run_command(main)
