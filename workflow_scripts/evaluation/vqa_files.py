"""Questions with their annotators' answers and predictions, from the official VQA files or from this workflow's own."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.evaluation.predictions import check_unique, match_questions, read_answers
from workflow_scripts.given_files import Hook, read_given_rows


@dataclass(frozen=True)
class Question:
    """One question with the answers of its annotators and the prediction."""

    question_id: str
    image: str
    answers: tuple[str, ...]
    prediction: str
    question_type: str | None
    answer_type: str | None


def read_official(questions: Path, annotations: Path, predictions: Path) -> list[Question]:
    """Read the three official JSON files: questions, annotations and results `[{"question_id", "answer"}]`.

    Rows as JSON lines will do in place of each.
    """
    asked = [{"question_id": row["question_id"]} for row in _rows(questions, "questions")]
    annotated = _rows(annotations, "annotations", _slim)
    results = read_given_rows(predictions, fields=("question_id",))
    if not isinstance(results, list) or not all(
        isinstance(row, dict) and "question_id" in row and isinstance(row.get("answer"), str) for row in results
    ):
        raise ValueError(
            f'{predictions} must be a list of {{"question_id", "answer"}}, or such rows as JSON lines, with answers '
            "that are text."
        )
    check_unique((row["question_id"] for row in asked), questions)
    check_unique((row["question_id"] for row in annotated), annotations)
    check_unique((row["question_id"] for row in results), predictions)
    match_questions(annotated, asked, annotations)
    return [
        Question(
            str(annotation["question_id"]),
            str(annotation["image_id"]),
            _answers(annotation, annotations),
            result["answer"],
            annotation.get("question_type"),
            annotation.get("answer_type"),
        )
        for annotation, result in match_questions(results, annotated, predictions)
    ]


def read_table(predictions: Path, questions: Path | None = None) -> list[Question]:
    """Read a predictions file of this workflow, whose `answers` are those of the annotators."""
    return [
        Question(
            str(row["question_id"]),
            row["image"],
            tuple(row.get("answers") or ()),
            row["prediction"],
            row.get("kind"),
            None,
        )
        for row in read_answers(predictions, questions, needs=("image",))
    ]


def _slim(pairs: Sequence[tuple[str, Any]]) -> Any:
    """Each annotator's answer as a plain string, which takes a fifth of the memory."""
    row = dict(pairs)
    if isinstance(row.get("answer"), str) and "question_id" not in row:
        return sys.intern(row["answer"])
    return row


def _answers(annotation: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    answers = annotation.get("answers")
    texts = isinstance(answers, list) and all(isinstance(answer, str) for answer in answers)
    if not texts or "image_id" not in annotation:
        raise ValueError(
            f'Question {annotation["question_id"]} of {path} must have an "image_id" and a list "answers" of '
            '{"answer"} that are text.'
        )
    return tuple(answers)


def _rows(path: Path, key: str, hook: Hook = None) -> list[Mapping[str, Any]]:
    rows = read_given_rows(path, fields=("question_id",), key=key, hook=hook)
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "question_id" in row for row in rows):
        raise ValueError(
            f'{path} has no list "{key}" of rows with a "question_id"; it is no official file of that kind.'
        )
    return rows
