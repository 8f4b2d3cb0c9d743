"""Score answers that are sets of words, as DAQUAR's are: exact match, and WUPS at 0.9 and 0.0.

WUPS needs WordNet's dictionary files (Debian: apt-get install wordnet-base; elsewhere, name their folder by
--wordnet or WNSEARCHDIR). Where they are missing, its figures are left out and the scores say so.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import run_command
from workflow_scripts.evaluation.normalise_answer import contains_answer, normalise_for_exact_match
from workflow_scripts.evaluation.predictions import read_answers
from workflow_scripts.evaluation.scores import add_common_arguments, break_down, figure, per_question, write_scores
from workflow_scripts.evaluation.unusual_answers import LONG_ANSWER, count_unusual
from workflow_scripts.evaluation.wordnet import WordNet, find_wordnet

DEFINITION = (
    "Answers are sets of words, separated by commas. Exact match: both sets are equal, their words lower-cased and "
    "without punctuation and articles. `contained`: every word of the right set stands in the reply. WUPS at t "
    "(Malinowski and Fritz 2014): the smaller of two products, over the words of either set, of each one's greatest "
    "similarity to a word of the other; the similarity is Wu-Palmer's in WordNet 3.0 over all senses of the nouns, "
    "times 0.1 where it is below t. Intervals: bootstrap over images."
)
THRESHOLDS = (0.9, 0.0)
DOWN_WEIGHT = 0.1
NO_WORDNET = (
    "WordNet's dictionary files were not found, so that WUPS was not computed: install Debian's wordnet-base, or name "
    "their folder by --wordnet or WNSEARCHDIR, and score again."
)
Similarity = Callable[[str, str], float]


def answer_set(answer: str) -> tuple[str, ...]:
    """The distinct words of an answer, in their order; "garbage_bin" and "garbage bin" are the same word."""
    words = (normalise_for_exact_match(word.replace("_", " ")) for word in answer.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def wups(prediction: Sequence[str], answer: Sequence[str], similarity: Similarity) -> float:
    """Set membership of both sets in each other, 0 to 1; an empty set is a member of an empty one only."""
    if not prediction or not answer:
        return float(not prediction and not answer)
    left = math.prod(max(similarity(word, other) for other in answer) for word in prediction)
    right = math.prod(max(similarity(other, word) for word in prediction) for other in answer)
    return min(left, right)


def thresholded(wordnet: WordNet, threshold: float) -> Similarity:
    """Wu-Palmer similarity of words, weighted down below the threshold; equal words have 1, known or not."""

    def similarity(one: str, other: str) -> float:
        if one == other:
            return 1.0
        value = wordnet.similarity(one.replace(" ", "_"), other.replace(" ", "_"))
        return value if value >= threshold else DOWN_WEIGHT * value

    return similarity


def score(rows: Sequence[Mapping[str, Any]], wordnet: WordNet | None) -> dict[str, np.ndarray]:
    """Exact match, containment and, with WordNet, WUPS [N], by name; an answer that is empty is an error."""
    predictions = [answer_set(row["prediction"]) for row in rows]
    answers = [answer_set(row.get("answer") or "") for row in rows]
    for row, answer in zip(rows, answers, strict=True):
        if not answer:
            raise ValueError(f"Question {row['question_id']} has no answer to compare with; remove it.")
    pairs = list(zip(predictions, answers, strict=True))
    replies = [row["prediction"].replace("_", " ") for row in rows]
    contained = [all(contains_answer(reply, w) for w in answer) for reply, answer in zip(replies, answers, strict=True)]
    found = {"exact_match": [set(ours) == set(right) for ours, right in pairs], "contained": contained}
    for threshold in THRESHOLDS if wordnet else ():
        similarity = thresholded(wordnet, threshold)
        found[f"wups_{threshold}"] = [wups(ours, right, similarity) for ours, right in pairs]
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--questions", type=Path, help="benchmark table; its questions must all be answered")
    parser.add_argument("--wordnet", type=Path, help="folder of index.noun, data.noun and noun.exc")
    add_common_arguments(parser, "exact_match")
    arguments = parser.parse_args(argv)
    if "exact_match" not in arguments.id.split("."):
        raise ValueError(f"--id {arguments.id} must have a part exact_match, whose place wups_0.9 and wups_0.0 take.")

    rows = read_answers(arguments.predictions, arguments.questions, needs=("image", "answer"))
    folder = find_wordnet(arguments.wordnet)
    if folder is None and arguments.wordnet:
        raise ValueError(f"{arguments.wordnet} lacks index.noun, data.noun or noun.exc; name WordNet's dict folder.")
    values = score(rows, WordNet.read(folder) if folder else None)
    images, kinds = [row["image"] for row in rows], [row.get("kind") for row in rows]
    ids = {name: arguments.id.replace("exact_match", name) for name in values}
    ids["contained"] = f"{arguments.id}.contained"
    write_scores(
        arguments,
        "score_wups",
        argv,
        definition=DEFINITION,
        figures=[figure(ids[name], values[name], images, arguments.seed) for name in values],
        inputs=[arguments.predictions, *filter(None, [arguments.questions])],
        breakdown=break_down(values["exact_match"], kinds, images, arguments.seed),
        breakdowns={name: break_down(of_each, kinds, images, arguments.seed) for name, of_each in values.items()},
        absent=None if folder else NO_WORDNET,
        **per_question([row["question_id"] for row in rows], values["exact_match"], images),
        **count_unusual([row["prediction"] for row in rows], LONG_ANSWER),
    )


if __name__ == "__main__":
    run_command(main)
