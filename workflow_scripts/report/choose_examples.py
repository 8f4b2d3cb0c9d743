"""Choose example answers, good and bad, with their pictures, for the report."""

import argparse
import random
from collections import defaultdict
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.data.boxes import parse_box
from workflow_scripts.evaluation.pictures import read_pictures
from workflow_scripts.evaluation.predictions import read_predictions
from workflow_scripts.evaluation.score_exact_match import is_exact_match
from workflow_scripts.evaluation.score_rec import intersection_over_union
from workflow_scripts.evaluation.score_vqa import vqa_accuracy
from workflow_scripts.evaluation.score_wups import answer_set
from workflow_scripts.search.render import data_url

if TYPE_CHECKING:
    from PIL.Image import Image

GOLD, PREDICTED = "#2f7d3b", "#c8553d"


def is_good(row: dict[str, Any]) -> bool:
    """Whether an answer counts: box at IoU 0.5, VQA accuracy of one half where ten people answered, else equality.

    Several words separated by commas are a set.
    """
    if parse_box(row["answer"], 100, 100):
        box, wanted = parse_box(row["prediction"], 100, 100), parse_box(row["answer"], 100, 100)
        return box is not None and intersection_over_union(box, wanted) >= 0.5
    if len(row.get("answers") or []) > 1:
        return vqa_accuracy(row["prediction"], row["answers"]) >= 0.5
    if "," in row["answer"]:
        return set(answer_set(row["prediction"])) == set(answer_set(row["answer"]))
    return is_exact_match(row["prediction"], row["answer"])


def choose(rows: Sequence[dict[str, Any]], count: int, seed: int) -> list[dict[str, Any]]:
    """Up to `count` rows, kinds in turn, each image once; drawn by the seed, not picked by hand."""
    by_kind: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in random.Random(seed).sample(list(rows), len(rows)):
        by_kind[row.get("kind") or ""].append(row)
    chosen: list[dict[str, Any]] = []
    seen: set[str] = set()
    while len(chosen) < count and any(by_kind.values()):
        for kind in sorted(by_kind):
            if by_kind[kind] and len(chosen) < count:
                row = by_kind[kind].pop()
                if row["image"] not in seen:
                    seen.add(row["image"])
                    chosen.append(row)
    return chosen


def picture_url(picture: "Image", row: dict[str, Any], size: int = 256) -> str:
    """The picture as a data URL, with the right and the predicted box where the answer is one."""
    from PIL import Image, ImageDraw

    scale = size / max(picture.size)
    small = picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.LANCZOS
    )
    draw = ImageDraw.Draw(small)
    for text, colour in ((row["answer"], GOLD), (row["prediction"], PREDICTED)):
        box = parse_box(text, small.width, small.height)
        if box:
            x, y, width, height = box
            draw.rectangle((x, y, x + width, y + height), outline=colour, width=3)
    stream = BytesIO()
    small.save(stream, "JPEG", quality=88)
    return data_url(stream.getvalue())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", required=True, help="what the examples are of, as the page prints it")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.jsonl")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="image sets with its pictures")
    parser.add_argument("--count", type=int, default=6, help="good and bad ones, each (6)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="examples.json to write")
    arguments = parser.parse_args(argv)

    rows = read_predictions(arguments.predictions)
    verdicts = [is_good(row) for row in rows]
    groups = {
        name: choose([row for row, good in zip(rows, verdicts, strict=True) if good is wanted], arguments.count, seed)
        for name, wanted, seed in (("good", True, arguments.seed), ("bad", False, arguments.seed + 1))
    }
    images = {row["image"] for group in groups.values() for row in group}
    pictures = dict(read_pictures(images, arguments.images))
    content = {
        name: [
            {key: row.get(key) for key in ("question_id", "image", "query", "prediction", "answer", "kind")}
            | {"picture": picture_url(pictures[row["image"]], row), "box": bool(parse_box(row["answer"], 100, 100))}
            for row in group
        ]
        for name, group in groups.items()
    }
    write_json(arguments.output, {"title": arguments.title, "n": len(rows), "good_n": sum(verdicts), **content})
    print(f"{len(content['good'])} good and {len(content['bad'])} bad examples of {len(rows)} answers")


if __name__ == "__main__":
    run_command(main)
