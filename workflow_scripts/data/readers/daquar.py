"""DAQUAR: `qa.894.raw.train.txt`, lines of question and answer in turn, the picture named in the question."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.readers.common import find_file

SUBSET_FILES = {"train": "qa.894.raw.train.txt", "test": "qa.894.raw.test.txt"}

# The picture that a question ends with: "... in the image2003 ?"
_ENDS_WITH_PICTURE = re.compile(r"\bimage\s?(\d+)\s*\??\s*$")
_IN_PICTURE_AT_END = re.compile(r"\s*\bin\s+(?:the|this)\s+image\s?\d+\s*\??\s*$")
_PICTURE = re.compile(r"(?:(?:the|this)\s+)?\bimage\s?\d+")
_NEEDS_A_PLACE = ("is", "are", "there's", "")
_BEFORE_A_PICTURE = ("in", "on", "of", "at", "from")


@dataclass(frozen=True)
class RoomQuestion:
    """A question about a picture (`image2003`) as a person would ask it, and its answers in the order of the file."""

    id: str
    image_id: str
    query: str
    answers: tuple[str, ...]

    @property
    def answer(self) -> str:
        """All answers as one text: "harp, oil can"."""
        return ", ".join(self.answers)


def read_questions(folder: Path, subset: str) -> tuple[list[RoomQuestion], Counter[str]]:
    """Read the questions of a subset (train or test); lines without their counterpart are counted, not kept.

    The id is the number of the question's line, from 1. What is asked twice, as 160 questions are, stays twice, as in
    the published counts.
    """
    if subset not in SUBSET_FILES:
        raise ValueError(f"DAQUAR has no subset {subset!r}; choose one of {', '.join(SUBSET_FILES)}.")
    path = find_file(folder, SUBSET_FILES[subset])
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file ({error}); fetch it again.") from error
    questions: list[RoomQuestion] = []
    removed: Counter[str] = Counter()
    waiting: tuple[int, str, str] | None = None  # a question that has no answer yet: line, picture, text
    for number, line in enumerate(lines, start=1):
        picture = _ENDS_WITH_PICTURE.search(line)
        if picture is not None:
            removed["question without an answer"] += waiting is not None
            waiting = (number, f"image{picture.group(1)}", line)
            continue
        if waiting is None:
            removed["line that is no question and no answer"] += bool(line.strip())
            continue
        answers = tuple(filter(None, map(plain_answer, line.split(","))))
        if answers:
            questions.append(RoomQuestion(str(waiting[0]), waiting[1], natural_question(waiting[2]), answers))
        else:
            removed["answer is empty"] += 1
        waiting = None
    removed["question without an answer"] += waiting is not None
    if not questions:
        raise ValueError(
            f"{path} holds no line of the form 'what is ... in the image2003 ?' with an answer in the next one; "
            "is it the right file?"
        )
    return questions, +removed


def natural_question(line: str) -> str:
    """Return a question without the number of its picture, and without "in the image2003" at its end.

    "what lies on the harp in the image2003 ?" becomes "what lies on the harp?"; where the picture belongs to the
    question it stays: "how many harps are in the image?".
    """
    text = line.strip()
    short = _IN_PICTURE_AT_END.sub("", text)
    if short.rsplit(" ", 1)[-1] not in _NEEDS_A_PLACE:
        text = short
    text = _PICTURE.sub(_reworded, text)
    return " ".join(text.rstrip("? ").split()) + "?"


def _reworded(match: re.Match[str]) -> str:
    before = match.string[: match.start()].split()
    named = match.group().startswith(("the", "this"))
    return "the image" if named or (before and before[-1] in _BEFORE_A_PICTURE) else ""


def plain_answer(text: str) -> str:
    """Return one answer in words: "oil_can" becomes "oil can"."""
    return " ".join(text.replace("_", " ").split())
