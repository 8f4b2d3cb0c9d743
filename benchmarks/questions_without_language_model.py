"""How much of DAQUAR's answers the features can tell, with a small reader in the place of adaptor and language model.

    python -m benchmarks.questions_without_language_model --results results/photos \
        --output benchmarks/measured/questions_without_language_model.json

The reader looks at the query outputs twice by a question's words and lets what it sees scale what the words alone
suggest, so that the picture can only choose among usual answers. Trained on the mix's questions, asked those of the
held-out rooms: with their photographs, with those of other rooms, and with none. What the whole system has below it
is lost between the features and the answer, and not by the features.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer
from torch import Tensor, nn
from torch.nn import functional

from workflow_scripts.command_line import progress, run_command, write_json
from workflow_scripts.evaluation.predict import shuffle_images
from workflow_scripts.evaluation.predictions import read_questions
from workflow_scripts.features.store import FeatureStores
from workflow_scripts.small_models.write_text_corpus import read_mix

EPOCHS, BATCH, SEEDS = 24, 64, 3
LEARNING_RATE, WEIGHT_DECAY, DROPOUT, SMOOTHING = 1e-3, 0.1, 0.5, 0.1
HIDDEN, LOOKS, FEWEST = 192, 2, 2


class GatedReader(nn.Module):
    """Scores A answers of questions [B, V] (V words) about query outputs [B, Q, D]."""

    def __init__(self, words: int, queries: int, width: int, answers: int) -> None:
        super().__init__()
        self.question = nn.Linear(words, HIDDEN)
        self.usual = nn.Linear(words, answers)
        self.key = nn.Linear(width + queries, HIDDEN)
        self.value = nn.Linear(width + queries, HIDDEN)
        self.looks = nn.ModuleList(nn.Linear(HIDDEN, 1) for _ in range(LOOKS))
        self.answer = nn.Linear(HIDDEN, answers)
        self.dropout = nn.Dropout(DROPOUT)
        self.register_buffer("names", torch.eye(queries))
        nn.init.zeros_(self.usual.weight)

    def forward(self, questions: Tensor, query_output: Tensor | None) -> Tensor:
        """Return scores [B, A]; without query outputs, by the question alone."""
        questions = self.dropout(questions)
        meant = torch.tanh(self.question(questions))
        if query_output is not None:
            seen = torch.cat([self.dropout(query_output), self.names.expand(len(query_output), -1, -1)], -1)
            keys, values = self.key(seen), self.value(seen)
            for look in self.looks:
                attention = look(torch.tanh(keys + meant[:, None])).softmax(1)
                meant = meant * (1 + torch.tanh((attention * values).sum(1)))
        return self.answer(self.dropout(meant)) + self.usual(questions)


def train(reader: GatedReader, questions: Tensor, pictures: Tensor | None, rows: Tensor, answers: Tensor) -> None:
    """Train on questions [N, V] about pictures[rows] ([N, Q, D]); without pictures, on the questions alone."""
    optimizer = torch.optim.AdamW(reader.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in progress(range(EPOCHS), EPOCHS, "epochs"):
        for batch in torch.randperm(len(answers)).split(BATCH):
            scores = reader(questions[batch], None if pictures is None else pictures[rows[batch]])
            loss = functional.cross_entropy(scores, answers[batch], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def measure(mix: Path, questions: Path, features: Path) -> dict[str, Any]:
    """Exact match in percent, a value a seed: with the right pictures, with those of others, and without any."""
    told = [row for row in read_mix(mix) if row["task"] == "vqa"]
    asked = read_questions(questions)
    stores = FeatureStores.open([features])
    images = sorted({row["image"] for row in [*told, *asked]})
    row_of = {image: row for row, image in enumerate(images)}
    pictures = torch.from_numpy(stores.query_output(images)).float()
    rows = torch.tensor([row_of[row["image"]] for row in told])
    known = pictures[rows.unique()].flatten(0, 1)
    pictures = (pictures - known.mean(0)) / known.std(0)

    vectorizer = CountVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), binary=True, min_df=FEWEST)
    words = vectorizer.fit_transform([row["query"] for row in told]).toarray()
    of_asked = vectorizer.transform([row["query"] for row in asked]).toarray()
    told_words, asked_words = (functional.normalize(torch.from_numpy(part).float()) for part in (words, of_asked))
    vocabulary = {answer: number for number, answer in enumerate(sorted({row["answer"] for row in told}))}
    answers = torch.tensor([vocabulary[row["answer"]] for row in told])
    wanted = np.array([vocabulary.get(row["answer"], -1) for row in asked])

    def percent(reader: GatedReader, shown: Sequence[str] | None) -> float:
        seen = None if shown is None else pictures[[row_of[image] for image in shown]]
        with torch.no_grad():
            return round(100 * float((reader.eval()(asked_words, seen).argmax(1).numpy() == wanted).mean()), 1)

    of_asked_images = [row["image"] for row in asked]
    found: dict[str, list[float]] = {"right": [], "shuffled": [], "question_only": []}
    for seed in range(SEEDS):
        shape = (told_words.shape[1], *pictures.shape[1:], len(vocabulary))
        torch.manual_seed(seed)
        reader = GatedReader(*shape)
        train(reader, told_words, pictures, rows, answers)
        found["right"].append(percent(reader, of_asked_images))
        found["shuffled"].append(percent(reader, shuffle_images(of_asked_images, seed)))
        torch.manual_seed(seed)
        blind = GatedReader(*shape)
        train(blind, told_words, None, rows, answers)
        found["question_only"].append(percent(blind, None))
    most = Counter(row["answer"] for row in told).most_common(1)[0][0]
    frequent = 100 * float(np.mean([row["answer"] == most for row in asked]))
    return {
        "benchmark": "questions_without_language_model",
        "trained_on": len(told),
        "asked": len(asked),
        "answers": len(vocabulary),
        "most_frequent_answer": round(frequent, 1),
        "exact_match": found,
    }


def only_one(folder: Path, pattern: str) -> Path:
    """The one path of a results folder that has the pattern; none or several are a ValueError."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ValueError(f"{folder} holds {len(found)} of {pattern}, and one is needed; run scale photos to its end.")
    return found[0]


def read_arguments(description: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line of a benchmark over the results of scale photos."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results folder of scale photos")
    parser.add_argument("--output", type=Path, required=True, help="JSON to write")
    return parser.parse_args(argv)


def questions_of(results: Path) -> tuple[Path, Path, Path]:
    """The mix, the questions about held-out rooms and the features of a results folder."""
    return (
        only_one(results, "data/photo_mix-*/samples.parquet"),
        only_one(results, "questions/daquar-*/questions.parquet"),
        only_one(results, "features/daquar_train-*"),
    )


def main(argv: Sequence[str] | None = None) -> None:
    arguments = read_arguments(__doc__, argv)
    write_json(arguments.output, measure(*questions_of(arguments.results)))


if __name__ == "__main__":
    run_command(main)
