"""Predictions as files: written by `predict` and `guess_question_only`, read and checked by every scorer."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import write_atomically
from workflow_scripts.given_files import read_given_rows

FIELDS = ("question_id", "image", "image_used", "query", "prediction", "answer", "answers", "task", "kind")


def read_questions(path: Path) -> list[dict[str, Any]]:
    """The rows of a benchmark table (Parquet) as plain dictionaries; `id` is called `question_id` here, as VQA does."""
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; give the table of a benchmark, its questions.parquet.") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; give the table of a benchmark in it, questions.parquet.") from None
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"{path} is not a Parquet file ({error}); give the table of a benchmark, its questions.parquet."
        ) from error
    missing = {"id", "image", "query", "answer"} - set(table.column_names)
    if missing:
        raise ValueError(f"{path} lacks the columns {sorted(missing)}; it is not a benchmark table.")
    rows = table.rename_columns({"id": "question_id"}).to_pylist()
    if not rows:
        raise ValueError(f"{path} holds no question; give a table that has some.")
    check_unique((row["question_id"] for row in rows), path)
    return rows


def write_predictions(
    path: Path, questions: Sequence[Mapping[str, Any]], images_used: Sequence[str | None], answers: Sequence[str]
) -> None:
    """Write one JSON object a line, in the order of the questions."""
    lines = []
    for question, image_used, prediction in zip(questions, images_used, answers, strict=True):
        row = {field: question.get(field) for field in FIELDS}
        row["answers"] = list(question.get("answers") or [])
        row |= {"image_used": image_used, "prediction": prediction}
        lines.append(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    write_atomically(path, "".join(lines))


def read_predictions(path: Path, needs: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows of a predictions file, JSON lines or a JSON list, each with the fields that are needed.

    A damaged line, a missing field or one of another kind, and a question answered twice are errors.
    """
    rows = read_given_rows(path, fields=("question_id",))
    if not isinstance(rows, list):
        raise ValueError(f'{path} must hold rows {{"question_id", "prediction"}}, as JSON lines or as a JSON list.')
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not isinstance(row.get("prediction"), str) or "question_id" not in row:
            raise ValueError(f"Row {number} of {path} lacks a question_id or a prediction that is text.")
        for name in needs:
            if not isinstance(row.get(name), str):
                raise ValueError(f'Row {number} of {path} lacks a text "{name}", which its score needs.')
        answers = row.get("answers") or []
        if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
            raise ValueError(f'"answers" in row {number} of {path} must be a list of texts.')
    if not rows:
        raise ValueError(f"{path} holds no prediction.")
    check_unique((row["question_id"] for row in rows), path)
    return rows


def read_answers(path: Path, questions: Path | None, needs: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows of a predictions file; where a benchmark table is given, they must answer its questions, all of them."""
    rows = read_predictions(path, needs)
    if questions is not None:
        match_questions(rows, read_questions(questions), path)
    return rows


def match_questions(
    predictions: Sequence[Mapping[str, Any]], questions: Sequence[Mapping[str, Any]], path: Path
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Pair each question with its prediction; unknown and missing ones are errors, never a silent zero."""
    by_id = {str(row["question_id"]): row for row in predictions}
    wanted = {str(row["question_id"]) for row in questions}
    unknown, missing = sorted(set(by_id) - wanted), sorted(wanted - set(by_id))
    if unknown:
        raise ValueError(f"{path} answers {len(unknown)} unknown questions, {unknown[0]} among them.")
    if missing:
        raise ValueError(f"{path} leaves {len(missing)} questions without a prediction, {missing[0]} among them.")
    return [(question, by_id[str(question["question_id"])]) for question in questions]


def check_unique(ids: Iterable[Any], path: Path) -> None:
    """Raise ValueError where one question stands twice."""
    twice = [name for name, number in Counter(str(name) for name in ids).items() if number > 1]
    if twice:
        raise ValueError(f"{path} holds {len(twice)} questions more than once, {twice[0]} among them.")
