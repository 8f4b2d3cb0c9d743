"""Answer the questions of a benchmark without looking: the best guess that training answers allow.

A question that training asked gets its most frequent answer. A question whose answer repeats parts of it ("how are A
and B related?" - "A left of B") gets the most frequent form of that with its own parts, which is a stronger guess
than any one answer. Else the question's first words decide, as many as training knows, at last none of them.
"""

import argparse
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.evaluation.normalise_answer import normalise_for_exact_match
from workflow_scripts.evaluation.predictions import read_questions, write_predictions

# A wording that fewer samples share is a coincidence rather than a template.
_FEWEST_SAMPLES_OF_A_TEMPLATE = 5


class QuestionOnlyGuess:
    """The most frequent training answer for what a question alone gives away."""

    def __init__(self, samples: Iterable[tuple[str, str]]) -> None:
        self._by_question: dict[str, Counter[str]] = defaultdict(Counter)
        self._by_words: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        templates: Counter[str] = Counter()
        middles: dict[str, Counter[str]] = defaultdict(Counter)
        pairs: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for query, answer in samples:
            query = _tidy(query)
            self._by_question[query][answer] += 1
            words = query.split()
            for length in range(len(words) + 1):
                self._by_words[tuple(words[:length])][answer] += 1
            parts = split_answer(query, _tidy(answer))
            if parts:
                first, middle, second = parts
                template = query.replace(first, "{0}", 1).replace(second, "{1}", 1)
                templates[template] += 1
                middles[template][middle] += 1
                pairs[first, second][middle] += 1
        if not self._by_question:
            raise ValueError("There is no training sample to guess from; the mix is empty.")
        self._pairs = pairs
        self._templates = [
            (_pattern(template), middles[template])
            for template, number in templates.most_common()
            if number >= _FEWEST_SAMPLES_OF_A_TEMPLATE
        ]

    def answer(self, query: str) -> str:
        """The guess for one question."""
        query = _tidy(query)
        if query in self._by_question:
            return _most_frequent(self._by_question[query])
        for pattern, middles in self._templates:
            match = pattern.fullmatch(query)
            if match:
                first, second = match["first"], match["second"]
                known = self._pairs.get((first, second), middles)
                return f"{first} {_most_frequent(known)} {second}"
        words = tuple(query.split())
        while words not in self._by_words:
            words = words[:-1]
        return _most_frequent(self._by_words[words])


def split_answer(query: str, answer: str) -> tuple[str, str, str] | None:
    """Split an answer "A middle B" whose A and B stand in the question, each as long as possible; else None."""
    words = answer.split()
    padded = f" {re.sub(r'[?.!,]', ' ', query)} "
    first = next((n for n in range(len(words) - 2, 0, -1) if f" {' '.join(words[:n])} " in padded), 0)
    second = next((n for n in range(len(words) - 1 - first, 0, -1) if f" {' '.join(words[-n:])} " in padded), 0)
    if not first or not second or words[:first] == words[-second:]:
        return None
    return " ".join(words[:first]), " ".join(words[first:-second]), " ".join(words[-second:])


def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(template)
    return re.compile(escaped.replace(r"\{0\}", "(?P<first>.+?)").replace(r"\{1\}", "(?P<second>.+?)"))


def _tidy(text: str) -> str:
    return " ".join(text.lower().split())


def _most_frequent(answers: Counter[str]) -> str:
    """The most frequent answer up to normalisation, of equally frequent ones the first in the alphabet."""
    merged: Counter[str] = Counter()
    for answer, number in answers.items():
        merged[normalise_for_exact_match(answer)] += number
    best = max(merged, key=lambda answer: (merged[answer], [-ord(character) for character in answer]))
    return min(answer for answer in answers if normalise_for_exact_match(answer) == best)


def main(argv: Sequence[str] | None = None) -> None:
    import pyarrow.parquet

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mix", type=Path, required=True, help="samples table that the system was trained on")
    parser.add_argument("--questions", type=Path, required=True, help="benchmark table")
    parser.add_argument("--output", type=Path, required=True, help="predictions.jsonl to write")
    parser.add_argument("--tasks", nargs="+", help="guess from the samples of these tasks only (all)")
    arguments = parser.parse_args(argv)

    if not arguments.mix.exists():
        raise ValueError(f"{arguments.mix} does not exist; run the rule that builds the mix first.")
    filters = [("task", "in", arguments.tasks)] if arguments.tasks else None
    samples = pyarrow.parquet.read_table(arguments.mix, columns=["query", "answer"], filters=filters).to_pydict()
    guess = QuestionOnlyGuess(zip(samples["query"], samples["answer"], strict=True))
    questions = read_questions(arguments.questions)
    answers = [guess.answer(question["query"]) for question in questions]
    write_predictions(arguments.output, questions, [None] * len(questions), answers)
    print(f"{len(answers)} questions answered from {len(samples['query'])} training samples, without a picture")


if __name__ == "__main__":
    run_command(main)
