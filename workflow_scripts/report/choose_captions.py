"""Choose example captions, good and bad, with what the system says where it is given another photograph.

A lot drawn by a seed, not picked by hand, from the quarter of the captions with the highest CIDEr and from the quarter
with the lowest.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.evaluation.pictures import read_pictures
from workflow_scripts.evaluation.predictions import match_questions, read_predictions
from workflow_scripts.evaluation.score_captions import per_image_scores, read_captions
from workflow_scripts.report.choose_examples import choose, picture_url

REFERENCES = 2


def quarters(
    rows: Sequence[dict[str, Any]], scores: Mapping[str, float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows with the highest and with the lowest scores of their images, a quarter each, one at the least."""
    order = sorted(rows, key=lambda row: (scores[row["image"]], row["image"]))
    size = max(1, len(order) // 4)
    return order[-size:], order[:size]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--title", required=True, help="what the examples are of, as the page prints it")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.jsonl")
    parser.add_argument("--shuffled", type=Path, required=True, help="predictions.jsonl with the images shuffled")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="image sets with its pictures")
    parser.add_argument("--count", type=int, default=6, help="good and bad ones, each (6)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="examples.json to write")
    arguments = parser.parse_args(argv)

    rows = read_predictions(arguments.predictions)
    scores = per_image_scores(read_captions(arguments.predictions))
    pairs = match_questions(read_predictions(arguments.shuffled), rows, arguments.shuffled)
    others = {row["question_id"]: shuffled["prediction"] for row, shuffled in pairs}
    good, bad = quarters(rows, scores)
    groups = {
        "good": choose(good, arguments.count, arguments.seed),
        "bad": choose(bad, arguments.count, arguments.seed + 1),
    }
    images = {row["image"] for group in groups.values() for row in group}
    pictures = dict(read_pictures(images, arguments.images))
    content = {
        name: [
            {key: row.get(key) for key in ("question_id", "image", "query", "prediction", "answer", "kind")}
            | {"picture": picture_url(pictures[row["image"]], row), "box": False, "cider": scores[row["image"]]}
            | {"references": row["answers"][:REFERENCES], "shuffled": others[row["question_id"]]}
            for row in group
        ]
        for name, group in groups.items()
    }
    write_json(arguments.output, {"title": arguments.title, "n": len(rows), "task": "caption", **content})
    print(f"{len(content['good'])} good and {len(content['bad'])} bad captions of {len(rows)}")


if __name__ == "__main__":
    run_command(main)
