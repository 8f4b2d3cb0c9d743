"""DAQUAR: `qa.894.raw.train.txt`, lines of question and answer in turn, the image named in the question."""

import re
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import Field

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.common import check_tasks, find_file
from workflow_scripts.data.records import Reading, Record
from workflow_scripts.data.text import room_question_kind

FILES = {"train": "qa.894.raw.train.txt", "test": "qa.894.raw.test.txt"}

# The image that a question ends with: "... in the image2003 ?"
_ENDS_WITH_IMAGE = re.compile(r"\bimage\s?(\d+)\s*\??\s*$")
_IN_IMAGE_AT_END = re.compile(r"\s*\bin\s+(?:the|this)\s+image\s?\d+\s*\??\s*$")
_IMAGE = re.compile(r"(?:(?:the|this)\s+)?\bimage\s?\d+")
_NEEDS_A_PLACE = ("is", "are", "there's", "")
_BEFORE_AN_IMAGE = ("in", "on", "of", "at", "from")


class Options(Section):
    """Which file is read."""

    part: Literal["train", "test"] = Field(description="Part of the data set.")


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read the questions of a part; lines without their counterpart are counted, not kept.

    The id is the number of the question's line, from 1. What is asked twice, as 160 questions are, stays twice, as in
    the published counts. Several answers are one: "harp, oil can".
    """
    check_tasks(tasks, "vqa")
    path = find_file(folder, FILES[options.part])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file ({error}); fetch it again.") from error
    questions: list[Record] = []
    removed: Counter[str] = Counter()
    waiting: tuple[int, str, str] | None = None  # a question that has no answer yet: line, image, text
    for number, line in enumerate(lines, start=1):
        named = _ENDS_WITH_IMAGE.search(line)
        if named is not None:
            removed["question without an answer"] += waiting is not None
            waiting = (number, f"image{named.group(1)}", line)
            continue
        if waiting is None:
            removed["line that is no question and no answer"] += bool(line.strip())
            continue
        answer = ", ".join(filter(None, map(plain_answer, line.split(","))))
        if answer:
            query = natural_question(waiting[2])
            about = {"kind": room_question_kind(query), "part": options.part}
            questions.append(Record(str(waiting[0]), waiting[1], "vqa", query, (answer,), **about))
        else:
            removed["answer is empty"] += 1
        waiting = None
    removed["question without an answer"] += waiting is not None
    if not questions:
        raise ValueError(
            f"{path} holds no line of the form 'what is ... in the image2003 ?' with an answer in the next one; "
            "is it the right file?"
        )
    return Reading(questions, +removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the file names of the images that are asked about, by id."""
    return {one.image_id: f"{one.image_id}.jpg" for one in read(folder, options, frozenset({"vqa"})).records}


def natural_question(line: str) -> str:
    """Return a question without the number of its image, and without "in the image2003" at its end.

    "what lies on the harp in the image2003 ?" becomes "what lies on the harp?"; where the picture belongs to the
    question it stays: "how many harps are in the image?".
    """
    text = line.strip()
    short = _IN_IMAGE_AT_END.sub("", text)
    if short.rsplit(" ", 1)[-1] not in _NEEDS_A_PLACE:
        text = short
    text = _IMAGE.sub(_reworded, text)
    return " ".join(text.rstrip("? ").split()) + "?"


def _reworded(match: re.Match[str]) -> str:
    before = match.string[: match.start()].split()
    named = match.group().startswith(("the", "this"))
    return "the image" if named or (before and before[-1] in _BEFORE_AN_IMAGE) else ""


def plain_answer(text: str) -> str:
    """Return one answer in words: "oil_can" becomes "oil can"."""
    return " ".join(text.replace("_", " ").split())
