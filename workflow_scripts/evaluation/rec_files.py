"""Annotated boxes and replies to referring expressions, from COCO's JSON files or from this workflow's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.data.boxes import Box, parse_box
from workflow_scripts.evaluation.box_forms import FORMS, ReadBox, Size, four_numbers, read_boxes
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
    form: str | None
    """The form in which the reply was read."""
    size: Size
    """Width and height of the image in pixels, where they are known."""
    split: str | None
    kind: str | None


def read_table(questions: Path, predictions: Path, split: str | None, form: str | None = None) -> list[Expression]:
    """Read a benchmark table and a predictions file for it, all of one split.

    Replies that `predict` wrote are in the form of this workflow; of others it is told, or given.
    """
    pairs = match_questions(read_predictions(predictions), read_questions(questions), predictions)
    sizes = [(question["image_width"], question["image_height"]) for question, _ in pairs]
    replies = [row["prediction"] for _, row in pairs]
    if form is None and all("image_used" in row for _, row in pairs):
        parsed = [parse_box(reply, *size) for reply, size in zip(replies, sizes, strict=True)]
        read = [None if box is None else ReadBox(box, "percent") for box in parsed]
    else:
        read = _read(replies, sizes, form, predictions)
    found = []
    for (question, _), size, reply in zip(pairs, sizes, read, strict=True):
        id = str(question["question_id"])
        box = annotated_box(question.get("box"), id)
        found.append(Expression(id, question["image"], box, *_parts(reply), size, split, question.get("kind")))
    return found


def read_official(annotations: Path, predictions: Path, split: str | None, form: str | None = None) -> list[Expression]:
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
    pairs = match_questions(results, rows, predictions)
    sizes_of = [sizes.get(str(row["image_id"])) for row, _ in pairs]
    replies = [
        _reply(result, size, str(row["question_id"]), predictions)
        for (row, result), size in zip(pairs, sizes_of, strict=True)
    ]
    found = []
    for (row, _), size, reply in zip(pairs, sizes_of, _read(replies, sizes_of, form, predictions), strict=True):
        id = str(row["question_id"])
        box = annotated_box(row["bbox"], id)
        split_of = row.get("split", split)
        found.append(Expression(id, str(row["image_id"]), box, *_parts(reply), size, split_of, row.get("kind")))
    return found


def _read(replies: Sequence[Any], sizes: Sequence[Size], form: str | None, path: Path) -> list[ReadBox | None]:
    """The boxes of replies; where none can be read they are in an unknown form, which is no score of zero."""
    found = read_boxes(replies, sizes, form)
    if not any(found):
        forms = "; ".join(f"{name}: {one.words}" for name, one in FORMS.items())
        raise ValueError(
            f"None of the {len(replies)} replies in {path} holds a box that can be read, the first is "
            f"{str(replies[0])[:80]!r}; say by --form how they are written ({forms})."
        )
    return found


def _parts(read: ReadBox | None) -> tuple[Box | None, str | None]:
    return (None, None) if read is None else (read.box, read.form)


def annotated_box(box: Any, id: str) -> Box:
    """An annotated box; one that is none, or has no area, is a ValueError."""
    found = four_numbers(box)
    if found is None or min(found[2:]) <= 0:
        raise ValueError(f"Question {id} has no box with an area to compare with: {box}.")
    return found


def is_outside(box: Box, size: Size) -> bool:
    """Whether a box leaves its picture by more than one per cent, which is as far as rounded per cents may stray."""
    if size is None:
        return False
    right, bottom = box[0] + box[2], box[1] + box[3]
    return min(box[:2]) < 0 or right > size[0] * 1.01 or bottom > size[1] * 1.01


def _reply(result: Mapping[str, Any], size: Size, id: str, path: Path) -> Any:
    """What a row says of its box: four numbers, or a text."""
    if "bbox" in result:
        return four_numbers(result["bbox"])
    if not isinstance(result.get("answer"), str):
        raise ValueError(f'The prediction of {id} in {path} has neither a "bbox" nor an "answer" that is text.')
    if size is None:
        raise ValueError(f'The picture of {id} has no width and height among the "images" to read an answer with.')
    return result["answer"]


def _sizes(content: Any, path: Path) -> dict[str, tuple[float, float]]:
    images = content.get("images", []) if isinstance(content, dict) else []
    if not isinstance(images, list) or (images and not _are_rows(images, ("id",))):
        raise ValueError(f'"images" of {path} must be a list of {{"id", "width", "height"}}.')
    sizes = {str(row["id"]): (row["width"], row["height"]) for row in images if "width" in row and "height" in row}
    for id, size in sizes.items():
        if not all(isinstance(side, int | float) and side > 0 for side in size):
            raise ValueError(f"Image {id} of {path} has the width and height {size}, which are no numbers of pixels.")
    return sizes


def _are_rows(rows: Any, keys: Sequence[str]) -> bool:
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, dict) and all(key in row for key in keys) for row in rows)
    )
