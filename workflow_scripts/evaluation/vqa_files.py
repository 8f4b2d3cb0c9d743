"""Questions with their annotators' answers and predictions, from the official VQA files or from this workflow's own."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json
from workflow_scripts.evaluation.predictions import check_unique, match_questions, read_predictions


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
    """Read the three official JSON files: questions, annotations and results `[{"question_id", "answer"}]`."""
    asked = [{"question_id": row["question_id"]} for row in _list(read_json(questions), "questions", questions)]
    annotated = _list(_read_annotations(annotations), "annotations", annotations)
    results = read_json(predictions)
    if not isinstance(results, list) or not all(
        isinstance(row, dict) and "question_id" in row and isinstance(row.get("answer"), str) for row in results
    ):
        raise ValueError(f'{predictions} must be a list of {{"question_id", "answer"}} with answers that are text.')
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


def read_table(predictions: Path) -> list[Question]:
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
        for row in read_predictions(predictions)
    ]


def _read_annotations(path: Path) -> Any:
    """The annotations with each annotator's answer as a plain string, which takes a fifth of the memory."""

    def slim(pairs: Sequence[tuple[str, Any]]) -> Any:
        row = dict(pairs)
        if isinstance(row.get("answer"), str) and "question_id" not in row:
            return sys.intern(row["answer"])
        return row

    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=slim)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; give the annotations file of the data set.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); fetch it again.") from error


def _answers(annotation: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    answers = annotation.get("answers")
    texts = isinstance(answers, list) and all(isinstance(answer, str) for answer in answers)
    if not texts or "image_id" not in annotation:
        raise ValueError(
            f'Question {annotation["question_id"]} of {path} must have an "image_id" and a list "answers" of '
            '{"answer"} that are text.'
        )
    return tuple(answers)


def _list(content: Any, key: str, path: Path) -> list[Mapping[str, Any]]:
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "question_id" in row for row in rows):
        raise ValueError(
            f'{path} has no list "{key}" of rows with a "question_id"; it is no official file of that kind.'
        )
    return rows
