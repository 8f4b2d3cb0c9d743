"""Score answers as the official evaluation of VQA v2 and OK-VQA does."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import read_json, run_command
from workflow_scripts.evaluation.normalise_answer import normalise_vqa_answer, strip_vqa_answer
from workflow_scripts.evaluation.predictions import check_unique, match_questions, read_predictions
from workflow_scripts.evaluation.scores import add_common_arguments, break_down, figure, write_scores

DEFINITION = (
    "VQA accuracy as in vqaEval.py of the VQA v2 release, which OK-VQA uses: mean over the leave-one-out sets of the "
    "ten answers of min(n/3, 1), n the answers equal to the prediction; both normalised only where the ten are not "
    "unanimous. Intervals: bootstrap over images."
)


@dataclass(frozen=True)
class Question:
    """One question with the answers of its annotators and the prediction."""

    question_id: str
    image: str
    answers: tuple[str, ...]
    prediction: str
    question_type: str | None
    answer_type: str | None


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Official accuracy, 0 to 1, of one prediction against the answers of all annotators.

    Each annotator is left out once (the official code tells them apart by `answer_id`; here by position, which is the
    same where the ids are distinct and does not score an unanimous answer 0 where they are missing).
    """
    prediction = strip_vqa_answer(prediction)
    answers = [strip_vqa_answer(answer) for answer in answers]
    if len(set(answers)) > 1:
        prediction = normalise_vqa_answer(prediction)
        answers = [normalise_vqa_answer(answer) for answer in answers]
    equal = sum(answer == prediction for answer in answers)
    shares = [min(1.0, (equal - (answer == prediction)) / 3) for answer in answers]
    return sum(shares) / len(shares)


def read_official(questions: Path, annotations: Path, predictions: Path) -> list[Question]:
    """Read the three official JSON files: questions, annotations and results `[{"question_id", "answer"}]`."""
    asked = _list(read_json(questions), "questions", questions)
    annotated = _list(read_json(annotations), "annotations", annotations)
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
            tuple(answer["answer"] for answer in annotation["answers"]),
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


def _list(content: Any, key: str, path: Path) -> list[Mapping[str, Any]]:
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise ValueError(f'{path} has no list "{key}"; it is not an official VQA file of that kind.')
    return content[key]


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.jsonl or official results JSON")
    parser.add_argument("--questions", type=Path, help="official questions JSON (with --annotations)")
    parser.add_argument("--annotations", type=Path, help="official annotations JSON (with --questions)")
    add_common_arguments(parser)
    arguments = parser.parse_args(argv)
    if (arguments.questions is None) != (arguments.annotations is None):
        raise ValueError("--questions and --annotations belong together: give both, or neither.")

    if arguments.annotations:
        inputs = [arguments.questions, arguments.annotations, arguments.predictions]
        questions = read_official(*inputs)
    else:
        inputs = [arguments.predictions]
        questions = read_table(arguments.predictions)
    if not questions:
        raise ValueError(f"{arguments.predictions} answers no question.")
    for question in questions:
        if not question.answers:
            raise ValueError(f"Question {question.question_id} has no annotators' answers to compare with.")
    values = np.array([vqa_accuracy(question.prediction, question.answers) for question in questions])
    overall = figure(arguments.id, values, [question.image for question in questions], arguments.seed)
    write_scores(
        arguments,
        "score_vqa",
        argv,
        definition=DEFINITION,
        figures=[overall],
        inputs=inputs,
        overall=round(100 * float(values.mean()), 2),
        breakdown=break_down(values, [question.question_type for question in questions]),
        per_answer_type=break_down(values, [question.answer_type for question in questions]),
        per_question={
            question.question_id: round(100 * float(value), 2)
            for question, value in zip(questions, values, strict=True)
        },
        empty_predictions=sum(not question.prediction.strip() for question in questions),
    )


if __name__ == "__main__":
    run_command(main)
