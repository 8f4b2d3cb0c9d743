"""Annotated boxes and replies to referring expressions, from COCO's JSON files or from this workflow's own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.data.boxes import Box, parse_box
from workflow_scripts.evaluation.predictions import check_unique, match_questions, read_predictions, read_questions
from workflow_scripts.given_files import read_given_json, read_given_rows

_IDS = ("question_id", "sent_id", "ref_id", "id")


@dataclass(frozen=True)
class Expression:
    """An annotated box (x, y, w, h in pixels) and the box of the reply to its phrase, None where it holds none."""

    id: str
    image: str
    box: Box
    reply: Box | None
    size: tuple[float, float] | None
    """Width and height of the image in pixels, where they are known."""
    split: str | None
    kind: str | None


def read_table(questions: Path, predictions: Path, split: str | None) -> list[Expression]:
    """Read a benchmark table and a predictions file of this workflow, all of one split."""
    found = []
    for question, row in match_questions(read_predictions(predictions), read_questions(questions), predictions):
        size = (question["image_width"], question["image_height"])
        id, reply = str(question["question_id"]), parse_box(row["prediction"], *size)
        box = annotated_box(question.get("box"), id)
        found.append(Expression(id, question["image"], box, reply, size, split, question.get("kind")))
    return found


def read_official(annotations: Path, predictions: Path, split: str | None) -> list[Expression]:
    """Read COCO's annotations, of several splits or of the given one, and a list of boxes or replies."""
    content = read_given_json(annotations)
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not _are_rows(rows, ("image_id", "bbox")):
        raise ValueError(f'{annotations} must hold a list "annotations" of {{"id", "image_id", "bbox"}}.')
    results = read_given_rows(predictions, fields=_IDS)
    if not isinstance(results, list) or not _are_rows(results, ()):
        raise ValueError(
            f'{predictions} must be a list of {{"id", "bbox"}} or {{"id", "answer"}}, or such rows as JSON lines.'
        )
    key = next((name for name in _IDS if all(name in row for row in [*rows, *results])), None)
    if key is None:
        raise ValueError(f"The rows of {annotations} and {predictions} share none of the ids {', '.join(_IDS)}.")
    rows = [{**row, "question_id": row[key]} for row in rows if split is None or row.get("split", split) == split]
    if not rows:
        raise ValueError(f"{annotations} holds no expression" + (f" of split {split}." if split else "."))
    check_unique((row["question_id"] for row in rows), annotations)
    results = [{**row, "question_id": row[key]} for row in results]
    check_unique((row["question_id"] for row in results), predictions)
    sizes = _sizes(content, annotations)
    found = []
    for row, result in match_questions(results, rows, predictions):
        id, size = str(row["question_id"]), sizes.get(row["image_id"])
        reply = _reply(result, size, id, predictions)
        box = annotated_box(row["bbox"], id)
        found.append(Expression(id, str(row["image_id"]), box, reply, size, row.get("split", split), row.get("kind")))
    return found


def annotated_box(box: Any, id: str) -> Box:
    """An annotated box; one that is none, or has no area, is a ValueError."""
    found = _box(box)
    if found is None or min(found[2:]) <= 0:
        raise ValueError(f"Question {id} has no box with an area to compare with: {box}.")
    return found


def is_outside(box: Box, size: tuple[float, float] | None) -> bool:
    """Whether a box leaves its picture by more than one per cent, which is as far as rounded per cents may stray."""
    if size is None:
        return False
    right, bottom = box[0] + box[2], box[1] + box[3]
    return min(box[:2]) < 0 or right > size[0] * 1.01 or bottom > size[1] * 1.01


def _reply(result: Mapping[str, Any], size: tuple[float, float] | None, id: str, path: Path) -> Box | None:
    if "bbox" in result:
        return _box(result["bbox"])
    if not isinstance(result.get("answer"), str):
        raise ValueError(f'The prediction of {id} in {path} has neither a "bbox" nor an "answer" that is text.')
    if size is None:
        raise ValueError(f'The picture of {id} has no width and height among the "images" to read an answer with.')
    return parse_box(result["answer"], *size)


def _box(value: Any) -> Box | None:
    """Four finite numbers, or None."""
    if value is None or isinstance(value, str | Mapping) or not isinstance(value, Sequence) or len(value) != 4:
        return None
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in value):
        return None
    return tuple(map(float, value))


def _sizes(content: Any, path: Path) -> dict[Any, tuple[float, float]]:
    images = content.get("images", []) if isinstance(content, dict) else []
    if not isinstance(images, list) or (images and not _are_rows(images, ("id",))):
        raise ValueError(f'"images" of {path} must be a list of {{"id", "width", "height"}}.')
    return {row["id"]: (row["width"], row["height"]) for row in images if "width" in row and "height" in row}


def _are_rows(rows: Any, keys: Sequence[str]) -> bool:
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, dict) and all(key in row for key in keys) for row in rows)
    )
