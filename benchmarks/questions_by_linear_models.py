"""How far linear models come with DAQUAR's questions: words alone, and words with what the features tell.

    python -m benchmarks.questions_by_linear_models --results results/photos \
        --output benchmarks/measured/questions_by_linear_models.json

Logistic regression over a question's words gives each answer a probability. A ridge regression from the photograph
tells for each answer whether it was given about this room at all, and its score is added. Its penalty and the weight
of that score are chosen on training rooms that both models have not seen (five folds), that of the words' model is
fixed; then the held-out rooms are asked: with their photographs, with those of other rooms, and by words alone. The
photograph is described by the query outputs, or by the vision encoder's own tokens, which tells what the Q-Former
loses.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from benchmarks.questions_without_language_model import only_one, questions_of, read_arguments
from workflow_scripts.command_line import progress, run_command, write_json
from workflow_scripts.evaluation.predict import shuffle_images
from workflow_scripts.evaluation.predictions import read_questions
from workflow_scripts.evaluation.scores import figure
from workflow_scripts.features.store import FeatureStores
from workflow_scripts.features.token_store import TokenStores
from workflow_scripts.small_models.write_text_corpus import read_mix

FOLDS = 5
INVERSE_REGULARISATION, ITERATIONS = 10.0, 60
PENALTIES, WEIGHTS = (0.1, 0.3, 1.0, 3.0), (0.0, 0.5, 1.0, 2.0, 4.0)
# Keeps the score of an answer that was given about one room only from being the largest of all.
RARE = 0.02
LEAST = -20.0


def by_words(told: Sequence[dict[str, Any]], asked: Sequence[dict[str, Any]], answers: np.ndarray) -> np.ndarray:
    """Logarithms of the answers' probabilities [N, A] for the questions asked."""
    vectorizer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    words = vectorizer.fit_transform([row["query"] for row in told])
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=ITERATIONS)
    model.fit(words, [row["answer"] for row in told])
    logarithms = np.full((len(asked), len(answers)), LEAST)
    logarithms[:, np.searchsorted(answers, model.classes_)] = model.predict_log_proba(
        vectorizer.transform([row["query"] for row in asked])
    )
    return logarithms


def given(rows: Sequence[dict[str, Any]], images: Sequence[str], answers: np.ndarray) -> np.ndarray:
    """Which answers were given about which image, [I, A] of 0 and 1."""
    place = {image: number for number, image in enumerate(images)}
    table = np.zeros((len(images), len(answers)))
    table[[place[row["image"]] for row in rows], np.searchsorted(answers, [row["answer"] for row in rows])] = 1
    return table


def by_photograph(known: np.ndarray, table: np.ndarray, shown: np.ndarray, penalty: float) -> np.ndarray:
    """Scores [I, A] of the answers for photographs shown [I, D], from known ones [K, D] and their answers [K, A]."""
    mean, spread = known.mean(0), (known.std(0) + 1e-6) * np.sqrt(known.shape[1])
    known, shown = (known - mean) / spread, (shown - mean) / spread
    share = table.mean(0)
    weights = np.linalg.solve(known @ known.T + penalty * np.eye(len(known)), table - share)
    return (shown @ known.T) @ weights / (np.sqrt(share * (1 - share)) + RARE)


def exact_match(scores: np.ndarray, asked: Sequence[dict[str, Any]], answers: np.ndarray) -> np.ndarray:
    """Whether the answers with the highest scores [N, A] are those wanted, [N] of 0 and 1."""
    return (answers[scores.argmax(1)] == np.array([row["answer"] for row in asked])).astype(float)


class Rooms:
    """Photographs of rooms, described in one way, and the questions about them."""

    def __init__(self, described: np.ndarray, images: Sequence[str]) -> None:
        self.described = described
        self.row = {image: number for number, image in enumerate(images)}

    def scores(
        self, told: Sequence[dict[str, Any]], shown: Sequence[str], answers: np.ndarray, penalty: float
    ) -> np.ndarray:
        """Scores [N, A] of answers for photographs shown, by what was told about others."""
        known = sorted({row["image"] for row in told})
        once = sorted(set(shown))
        of = by_photograph(self._of(known), given(told, known, answers), self._of(once), penalty)
        return of[np.searchsorted(once, shown)]

    def _of(self, images: Sequence[str]) -> np.ndarray:
        return self.described[[self.row[image] for image in images]]


def choose(
    rooms: Rooms, told: Sequence[dict[str, Any]], words: Sequence[Any], answers: np.ndarray
) -> tuple[float, float]:
    """The penalty and the weight that answer most questions about training rooms that were left out."""
    right = dict.fromkeys(product(PENALTIES, WEIGHTS), 0.0)
    for kept, left_out, logarithms in words:
        asked = [told[number] for number in left_out]
        for penalty in PENALTIES:
            scores = rooms.scores([told[n] for n in kept], [row["image"] for row in asked], answers, penalty)
            for weight in WEIGHTS:
                right[penalty, weight] += exact_match(logarithms + weight * scores, asked, answers).sum()
    return max(right, key=lambda setting: right[setting])


def measure(mix: Path, questions: Path, features: Path, tokens: Path) -> dict[str, Any]:
    """Exact match in percent, by how the photograph is described."""
    told = [row for row in read_mix(mix) if row["task"] == "vqa"]
    asked = read_questions(questions)
    answers = np.unique([row["answer"] for row in told])
    images = sorted({row["image"] for row in [*told, *asked]})
    query_output = FeatureStores.open([features]).query_output(images).astype(np.float64)
    store = TokenStores.open(tokens)
    pooled = store.at(store.locate(images)).astype(np.float64).mean(1)
    ways = {"query outputs": query_output.reshape(len(images), -1), "vision encoder": pooled}

    folds = GroupKFold(FOLDS).split(told, groups=[row["image"] for row in told])
    words = [
        (kept, left_out, by_words([told[n] for n in kept], [told[n] for n in left_out], answers))
        for kept, left_out in progress(list(folds), FOLDS, "folds")
    ]
    logarithms = by_words(told, asked, answers)
    shown = [row["image"] for row in asked]

    def percent(scores: np.ndarray) -> dict[str, Any]:
        found = figure("exact_match", exact_match(scores, asked, answers), shown, 0)
        return {"value": round(found["value"], 1), "ci95": [round(bound, 1) for bound in found["ci95"]]}

    result: dict[str, Any] = {
        "benchmark": "questions_by_linear_models",
        "trained_on": len(told),
        "asked": len(asked),
        "answers": len(answers),
        "words_alone": percent(logarithms),
        "ways": [],
    }
    for name, described in ways.items():
        rooms = Rooms(described, images)
        penalty, weight = choose(rooms, told, words, answers)

        def with_photographs(
            of: Sequence[str], rooms: Rooms = rooms, penalty: float = penalty, weight: float = weight
        ) -> dict[str, Any]:
            return percent(logarithms + weight * rooms.scores(told, of, answers, penalty))

        found = {"right": with_photographs(shown), "shuffled": with_photographs(shuffle_images(shown, 0))}
        result["ways"].append({"photograph": name, "penalty": penalty, "weight": weight} | found)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    arguments = read_arguments(__doc__, argv)
    tokens = only_one(arguments.results, "tokens/daquar_train-*")
    write_json(arguments.output, measure(*questions_of(arguments.results), tokens))


if __name__ == "__main__":
    run_command(main)
