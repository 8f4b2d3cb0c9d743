"""Score predictions by exact match, and beside it by whether the answer is contained."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import run_command
from workflow_scripts.evaluation.normalise_answer import contains_answer, normalise_for_exact_match
from workflow_scripts.evaluation.predictions import match_questions, read_predictions, read_questions
from workflow_scripts.evaluation.scores import add_common_arguments, break_down, figure, per_question, write_scores
from workflow_scripts.evaluation.unusual_answers import LONG_ANSWER, count_unusual

DEFINITION = (
    "Share of the questions whose prediction equals the answer after the normalisation of SQuAD 1.1 (lower case, no "
    "punctuation, no articles, single spaces; Rajpurkar et al. 2016), widened to Unicode; `contained`: the answer's "
    "words stand in the prediction, whole and in order. Intervals: bootstrap over images."
)


def is_exact_match(prediction: str, answer: str) -> bool:
    """Whether the two are equal after normalisation."""
    return normalise_for_exact_match(prediction) == normalise_for_exact_match(answer)


def score(predictions: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Exact match [N] and containment [N], each 0 or 1; an answer that is empty or no text is an error."""
    for row in predictions:
        if not isinstance(row.get("answer"), str) or not row["answer"].strip():
            raise ValueError(f"Question {row['question_id']} has no answer to compare with; remove it.")
    exact = [is_exact_match(row["prediction"], row["answer"]) for row in predictions]
    contained = [contains_answer(row["prediction"], row["answer"]) for row in predictions]
    return np.array(exact, dtype=float), np.array(contained, dtype=float)


def yes_and_no(rows: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Shares of yes in per cent, right and predicted, where all right answers are yes or no; else None."""
    right = [normalise_for_exact_match(row["answer"]) for row in rows]
    if set(right) - {"yes", "no"}:
        return None
    said = [normalise_for_exact_match(row["prediction"]) for row in rows]
    shares = {"right_yes": right.count("yes"), "said_yes": said.count("yes"), "said_no": said.count("no")}
    return {name: round(100 * number / len(rows), 2) for name, number in shares.items()}


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--questions", type=Path, help="benchmark table; its questions must all be answered")
    add_common_arguments(parser, "exact_match")
    arguments = parser.parse_args(argv)

    rows = read_predictions(arguments.predictions, needs=() if arguments.questions else ("image",))
    inputs = [arguments.predictions]
    if arguments.questions:
        pairs = match_questions(rows, read_questions(arguments.questions), arguments.predictions)
        rows = [dict(question) | {"prediction": row["prediction"]} for question, row in pairs]
        inputs.append(arguments.questions)
    exact, contained = score(rows)
    images = [row["image"] for row in rows]
    kinds = [row.get("kind") for row in rows]
    write_scores(
        arguments,
        "score_exact_match",
        argv,
        definition=DEFINITION,
        figures=[
            figure(arguments.id, exact, images, arguments.seed),
            figure(f"{arguments.id}.contained", contained, images, arguments.seed),
        ],
        inputs=inputs,
        breakdown=break_down(exact, kinds, images, arguments.seed),
        breakdown_contained=break_down(contained, kinds, images, arguments.seed),
        yes_and_no=yes_and_no(rows),
        **per_question([row["question_id"] for row in rows], exact, images),
        **count_unusual([row["prediction"] for row in rows], LONG_ANSWER),
    )


if __name__ == "__main__":
    run_command(main)
