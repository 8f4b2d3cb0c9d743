"""A table of a user's own: a row names an image and says its captions, or a question about it and the answers."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.common import check_tasks
from workflow_scripts.data.records import Box, Reading, Record
from workflow_scripts.data.user_tables import Row, Table, open_table

IMAGE_COLUMNS = ("file_name", "image")
"""Where the image is looked for if no option says so; the first is what a folder with metadata has."""

Columns = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""A column, or several."""


class Options(Section):
    """Which table is read, and what its columns are called."""

    file: str | None = Field(None, description="Name of the table; null where the files hold one only.")
    separator: str | None = Field(
        None, min_length=1, max_length=1, description="Between the fields; null for comma (.csv) or tab (.tsv)."
    )
    image: str | None = Field(
        None, description="Column with file name, path or URL of the image; null for file_name or image."
    )
    image_id: str | None = Field(
        None, description="Column with the image's id; null for the file name without its ending, or a hash of the URL."
    )
    caption: Columns = Field([], description="Columns with captions; a column may hold lists of them.")
    query: str | None = Field(None, description="Column with the question.")
    answer: str | None = Field(None, description="Column with the answer.")
    answers: Columns = Field([], description="Columns with all right answers; a column may hold lists of them.")
    answer_separator: str | None = Field(
        None, min_length=1, description="Between several answers in one text; null for one answer a text."
    )
    words: dict[str, str] = Field({}, description="Columns by the slot of the task's templates that they fill.")
    box: Columns = Field([], description="Column with x, y, width and height in pixels, or a column for each.")
    task: str = Field("vqa", description="Task of the questions.")
    id: str | None = Field(None, description="Column with the id of the row; null for its number, from 1.")
    part: str | None = Field(None, description="Column with the part (split) that the row is in.")
    kind: str | None = Field(None, description="Column with the kind of the question, for break-downs.")
    group: str | None = Field(None, description="Column that says which images are compared with each other.")

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        if not self.caption and not self.has_questions:
            raise ValueError("name the column of the captions (caption), or of questions and answers (query, answer)")
        if self.has_questions and not (self.answer or self.answers or self.box):
            raise ValueError("questions need answers: name their column (answer, answers or box)")
        if self.answer and self.answers:
            raise ValueError("answer and answers are the same: name the columns in one of them")
        if len(self.box) not in (0, 1, 4):
            raise ValueError("box is one column, or four: x, y, width and height")
        return self

    @property
    def has_questions(self) -> bool:
        """Whether rows are questions, or other things with answers."""
        return bool(self.query or self.answer or self.answers or self.words or self.box)

    @property
    def columns(self) -> dict[str, str]:
        """Columns that must be there, with the option that names each."""
        named = {"image": self.image, "image_id": self.image_id, "query": self.query, "answer": self.answer}
        named |= {"id": self.id, "part": self.part, "kind": self.kind, "group": self.group}
        columns = {column: option for option, column in named.items() if column is not None}
        for option, several in (("caption", self.caption), ("answers", self.answers), ("box", self.box)):
            columns |= dict.fromkeys(several, option)
        return columns | dict.fromkeys(self.words.values(), "words")


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read captions (one record each) and questions, row by row; what a row lacks is counted."""
    check_tasks(tasks, *(["caption"] if options.caption else []), *([options.task] if options.has_questions else []))
    removed: Counter[str] = Counter()
    return Reading(_records(folder, options, tasks, removed), removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the URLs of the images, or their places below the user's folder, by id.

    Two images of one id are a ValueError.
    """
    table, column = _open(folder, options)
    places: dict[str, str] = {}
    for _, row in table.rows():
        place = _place(row, table, column)
        if not place:
            continue
        key = _image_id(row, place, options, table)
        before = places.setdefault(key, place)
        if before != place:
            raise ValueError(
                f"{table.name} has two images of the id {key!r}: {before} and {place}; "
                + (f"correct the column {options.image_id}." if options.image_id else "name a column by image_id.")
            )
    return places


def _open(folder: Path, options: Options) -> tuple[Table, str]:
    """The table and the column of its images."""
    table = open_table(folder, options.file, options.separator)
    column = options.image or next((name for name in IMAGE_COLUMNS if name in table.columns), IMAGE_COLUMNS[1])
    for name, option in {column: "image", **options.columns}.items():
        table.check_column(name, option)
    return table, column


def _records(folder: Path, options: Options, tasks: frozenset[str], removed: Counter[str]) -> Iterator[Record]:
    table, column = _open(folder, options)
    seen: set[str] = set()
    found = False
    for number, (part, row) in enumerate(table.rows(), start=1):
        key = _text(row, options.id, table) if options.id else str(number)
        place = _place(row, table, column)
        if not place:
            removed["row without an image"] += 1
            continue
        if not key:
            removed["row without an id"] += 1
            continue
        if key in seen:
            removed["duplicate id"] += 1
            continue
        seen.add(key)
        about = {
            "image_id": _image_id(row, place, options, table),
            "part": _text(row, options.part, table) if options.part else part,
            "kind": _text(row, options.kind, table) or None,
            "group": _text(row, options.group, table) or None,
        }
        if options.caption and "caption" in tasks:
            captions = _texts(row, options.caption, table)
            if not captions:
                removed["row without a caption"] += 1
            for position, caption in enumerate(captions):
                found = True
                yield Record(f"{key}#{position}", task="caption", answers=(caption,), **about)
        if options.has_questions and options.task in tasks:
            question = _question(row, options, table, number)
            if question is None:
                removed["row without a question or an answer"] += 1
            else:
                found = True
                yield Record(key, task=options.task, **question, **about)
    if not found:
        raise ValueError(
            f"No row of {table.name} has all that it needs ({dict(removed)}); are its columns the right ones?"
        )


def _question(row: Row, options: Options, table: Table, number: int) -> dict[str, Any] | None:
    """What a record says of a question; None without words or answer."""
    answers = _texts(row, [options.answer] if options.answer else options.answers, table)
    if options.answers and options.answer_separator:
        split = (part.strip() for answer in answers for part in answer.split(options.answer_separator))
        answers = [part for part in split if part]
    query = _text(row, options.query, table)
    words = {slot: _text(row, column, table) for slot, column in options.words.items()}
    box = _box(row, options.box, table, number) if options.box else None
    has_answer = bool(answers) if options.answer or options.answers else True
    if not has_answer or (options.query and not query) or not all(words.values()) or (options.box and box is None):
        return None
    return {"query": query, "answers": tuple(answers), "words": words, "box": box}


def _place(row: Row, table: Table, column: str) -> str:
    """URL of the image, or its place from the user's folder; empty where there is none."""
    value = row.get(column)
    if isinstance(value, dict) and value.get("bytes"):
        raise ValueError(
            f"The column {column!r} of {table.name} holds the images themselves; save them as files, and "
            "their names in the column."
        )
    place = _plain(value["path"] if isinstance(value, dict) and "path" in value else value, table, column)
    if not place or "://" in place:
        return place
    place = place.replace("\\", "/")
    return place if place.startswith("/") else str(PurePosixPath(table.prefix + place))


def _image_id(row: Row, place: str, options: Options, table: Table) -> str:
    """The id of an image: as the table has it, or else the file name without its ending, or a hash of the URL."""
    key = _text(row, options.image_id, table)
    if key:
        return key
    return hashlib.sha256(place.encode()).hexdigest()[:16] if "://" in place else PurePosixPath(place).stem


def _text(row: Row, column: str | None, table: Table) -> str:
    """The text of a column; empty where the row has none."""
    return _plain(row.get(column), table, column) if column else ""


def _texts(row: Row, columns: list[str], table: Table) -> list[str]:
    """The texts of columns, of which each may hold a list."""
    values = [(column, row.get(column)) for column in columns]
    several = [(column, one) for column, value in values for one in (value if isinstance(value, list) else [value])]
    return [text for column, one in several if (text := _plain(one, table, column))]


def _plain(value: Any, table: Table, column: str | None) -> str:
    """A value as text: whole numbers without a point, dates as they are written."""
    if value is None or value != value:  # what is not a number is not equal to itself
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, list | dict | bytes):
        raise ValueError(
            f"The column {column!r} of {table.name} holds {type(value).__name__} values, expected texts or numbers."
        )
    return str(value).strip()


def _box(row: Row, columns: list[str], table: Table, number: int) -> Box | None:
    """A box of numbers, (x, y, w, h); None where the row has none, a ValueError where it is no box."""
    value = row.get(columns[0]) if len(columns) == 1 else [row.get(column) for column in columns]
    if not isinstance(value, list):
        value = re.split(r"[\s,;]+", _plain(value, table, columns[0]).strip("[](){} "))
    texts = [_plain(one, table, columns[0]) for one in value]
    if not any(texts):
        return None
    try:
        x, y, width, height = map(float, texts)
    except ValueError:
        raise ValueError(
            f"Row {number} of {table.name} has the box {', '.join(texts)!r}, expected the numbers x, y, width, height."
        ) from None
    if not (width > 0 and height > 0):
        raise ValueError(f"Row {number} of {table.name} has a box without area: {', '.join(texts)!r}.")
    return x, y, width, height
