"""Score answers as the official evaluation of VQA v2 and OK-VQA does."""

import argparse
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import run_command
from workflow_scripts.evaluation.lemmatise import lemmatise
from workflow_scripts.evaluation.normalise_answer import normalise_vqa_answer, strip_vqa_answer
from workflow_scripts.evaluation.scores import add_common_arguments, break_down, figure, per_question, write_scores
from workflow_scripts.evaluation.unusual_answers import LONG_ANSWER, count_unusual
from workflow_scripts.evaluation.vqa_files import Question, read_official, read_table

DEFINITION = (
    "VQA accuracy as in vqaEval.py of the VQA v2 release, which OK-VQA uses: mean over the leave-one-out sets of the "
    "ten answers of min(n/3, 1), n the answers equal to the prediction; both normalised only where the ten are not "
    "unanimous. Overall and by type it is rounded as there. `lemmatised`, which is not official: the same with "
    "prediction and answers all normalised and then taken to their base forms by the rules of "
    "workflow_scripts.evaluation.lemmatise. Intervals: bootstrap over images."
)


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
    return _leave_one_out(prediction, answers)


def lemmatised_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """The same accuracy, 0 to 1, of base forms: "dogs" is right where the annotators said "dog"."""
    return _leave_one_out(_base_form(prediction), [_base_form(answer) for answer in answers])


@lru_cache(maxsize=1 << 16)
def _base_form(answer: str) -> str:
    return lemmatise(normalise_vqa_answer(strip_vqa_answer(answer)))


def official_mean(values: Sequence[float]) -> float:
    """Accuracy in per cent of several questions, summed and rounded to two decimals in the official order."""
    return round(100 * float(sum(values)) / len(values), 2)


def score_types(
    values: np.ndarray, types: Sequence[str | None], images: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """The official accuracy of each type of the values [N], with number and interval."""
    found = break_down(values, types, images, seed)
    of_type: dict[str, list[float]] = {}
    for value, name in zip(values.tolist(), types, strict=True):
        of_type.setdefault(name or "other", []).append(value)
    return {name: {**one, "value": official_mean(of_type[name])} for name, one in found.items()}


def _leave_one_out(prediction: str, answers: Sequence[str]) -> float:
    equal = answers.count(prediction)
    shares = [min(1.0, (equal - (answer == prediction)) / 3) for answer in answers]
    return sum(shares) / len(shares)


def _all_scores(questions: Sequence[Question], values: np.ndarray, images: Sequence[str], seed: int) -> dict[str, Any]:
    """One column of scores, from the values [N]: overall, and by type of question and of answer."""
    return {
        "overall": official_mean(values.tolist()),
        "per_question_type": score_types(values, [one.question_type for one in questions], images, seed),
        "per_answer_type": score_types(values, [one.answer_type for one in questions], images, seed),
    }


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.jsonl or official results JSON")
    parser.add_argument(
        "--questions", type=Path, help="official questions JSON (with --annotations), or a benchmark table"
    )
    parser.add_argument("--annotations", type=Path, help="official annotations JSON (with --questions)")
    add_common_arguments(parser, "vqa.accuracy")
    arguments = parser.parse_args(argv)
    if arguments.annotations and not arguments.questions:
        raise ValueError("--annotations needs --questions, the official questions of the same file.")

    if arguments.annotations:
        inputs = [arguments.questions, arguments.annotations, arguments.predictions]
        questions = read_official(*inputs)
    else:
        inputs = [arguments.predictions, *filter(None, [arguments.questions])]
        questions = read_table(arguments.predictions, arguments.questions)
    if not questions:
        raise ValueError(f"{arguments.predictions} answers no question.")
    for question in questions:
        if not question.answers:
            raise ValueError(f"Question {question.question_id} has no annotators' answers to compare with.")
    images = [question.image for question in questions]
    values = np.array([vqa_accuracy(question.prediction, question.answers) for question in questions])
    base_forms = np.array([lemmatised_accuracy(question.prediction, question.answers) for question in questions])
    ids = [question.question_id for question in questions]
    official, lemmatised = (_all_scores(questions, column, images, arguments.seed) for column in (values, base_forms))
    write_scores(
        arguments,
        "score_vqa",
        argv,
        definition=DEFINITION,
        figures=[
            figure(arguments.id, values, images, arguments.seed),
            figure(f"{arguments.id}.lemmatised", base_forms, images, arguments.seed),
        ],
        inputs=inputs,
        **official,
        overall_lemmatised=lemmatised["overall"],
        breakdown=official["per_question_type"],
        **per_question(ids, values, images),
        lemmatised={**lemmatised, "per_question": per_question(ids, base_forms, images)["per_question"]},
        **count_unusual([question.prediction for question in questions], LONG_ANSWER),
    )


if __name__ == "__main__":
    run_command(main)
