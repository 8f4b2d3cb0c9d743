"""The language model's corpus from captions, and from questions where there are any, without a miniature world.

A line of text.jsonl is {"context", "prompt", "answer", "task"}: the context stands where the image tokens will stand.
No picture is involved: the words of some captions of a photograph stand for it, and what is asked for is another
caption, a description in one of the mix's wordings, or whether a caption is true of it. Questions of a mix (task vqa)
are asked behind words of the answers to other questions about the same photograph, every other time of their own, and
sometimes behind nothing, which teaches what is usual. A share of the pictures, by a hash of their keys, is held out in
validation.jsonl.
"""

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet

from workflow_scripts.command_line import run_command, write_atomically, write_json
from workflow_scripts.data.text import question_kind
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.small_models.pair_captions import read_captions, split_of

Line = dict[str, str]
SPLIT_FILES = {"train": "text.jsonl", "validation": "validation.jsonl"}
# Words that say nothing of what is in a picture.
FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    a an the this that these those its it is are was be being has have of in on at to by with from for as and or
    while who which what where how many there his her their he she they him them some other one
""",
    )
)
# How many views are asked without a context.
PLAIN_SHARE = {"caption": 0.05, "vqa": 0.3}
OWN_ANSWER_SHARE = 0.5
# Questions of half of the rooms only, so that an adaptor has something left to learn from the others, cost 2.4 points
# of exact match on DAQUAR and left the right photographs 0.6 above shuffled ones.
STRANGE_WORDS = 4
TURNS = 12


def phrases_of(text: str, rng: random.Random) -> list[str]:
    """The words of a text that tell something, one by one or in the runs in which they stand."""
    runs: list[list[str]] = [[]]
    for word in text.replace(",", " , ").replace("?", " ").split():
        if word in FUNCTION_WORDS or word == ",":
            runs.append([])
        else:
            runs[-1].append(word)
    runs = [run for run in runs if run] or [text.replace(",", " ").split()]
    return [" ".join(run) for run in runs] if rng.random() < 0.5 else [word for run in runs for word in run]


def as_context(phrases: Sequence[str], rng: random.Random) -> str:
    """Phrases in random order, set apart by semicolons; each once."""
    phrases = sorted(set(phrases))
    rng.shuffle(phrases)
    return "; ".join(phrases)


class Wordings:
    """How a mix asks for descriptions and for truth; without a mix there are captions only."""

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.descriptions = sorted({row["query"] for row in rows if row["task"] == "description"})
        asked = {row["query"].partition(": ")[::2] for row in rows if row["task"] == "is_true"}
        self.is_true = sorted({(head, caption[-1:]) for head, caption in asked if caption.endswith(("?", "."))})


def caption_turns(
    captions: Sequence[str], strange: Callable[[], str], wordings: Wordings, rng: random.Random
) -> tuple[str, list[Line]]:
    """A context from some of a picture's captions, and turns that the others answer."""
    order = rng.sample(captions, len(captions))
    told = order[: rng.randint(1, max(1, len(order) - 2))]
    asked = order[len(told) :] or told
    context = as_context([phrase for text in told for phrase in phrases_of(text, rng)], rng)
    turns = [{"prompt": "", "answer": text, "task": "caption"} for text in asked[:2]]
    if wordings.descriptions:
        turns.append({"prompt": rng.choice(wordings.descriptions), "answer": rng.choice(asked), "task": "description"})
    if wordings.is_true:
        head, mark = rng.choice(wordings.is_true)
        for text, answer in ((rng.choice(asked), "yes"), (strange(), "no")):
            turns.append({"prompt": f"{head}: {text}{mark}", "answer": answer, "task": "is_true"})
    return context, turns


def question_turns(
    questions: Sequence[tuple[str, str]], strange: Callable[[], str], rng: random.Random
) -> tuple[str, list[Line]]:
    """A context from the answers to questions about a picture and a few strange ones, and the questions."""
    questions = rng.sample(questions, min(len(questions), TURNS))
    told = [answer for _, answer in questions if rng.random() < OWN_ANSWER_SHARE]
    told += [strange() for _ in range(rng.randint(0, STRANGE_WORDS))]
    phrases = [phrase for answer in told for phrase in answer.split(", ")]
    turns = [{"prompt": query, "answer": answer, "task": "vqa"} for query, answer in questions]
    return as_context(phrases or [questions[0][1]], rng), turns


def corpus_lines(
    captions: Mapping[str, list[str]], rows: Sequence[Mapping[str, str]], views: int, question_views: int, seed: int
) -> dict[str, list[Line]]:
    """The lines of each split: every picture in several views, in random order; the turns of a view in a row."""
    rng = random.Random(f"text corpus {seed}")
    wordings = Wordings(rows)
    questions: dict[str, list[tuple[str, str]]] = defaultdict(list)
    # By kind, so that rare kinds of answers come as often as frequent ones.
    answers: dict[str, dict[str, list[str]]] = {split: defaultdict(list) for split in SPLIT_FILES}
    for row in rows:
        if row["task"] == "vqa":
            questions[row["image"]].append((row["query"], row["answer"]))
            answers[split_of(row["image"])][question_kind(row["query"])].append(row["answer"])
    images = {split: [image for image in captions if split_of(image) == split] for split in SPLIT_FILES}
    lines = {}
    for split in SPLIT_FILES:
        views_of_split: list[tuple[str, list[Line]]] = []

        def strange_caption(others: Sequence[str] = images[split]) -> str:
            return rng.choice(captions[rng.choice(others)])

        def strange_answer(of_kind: Mapping[str, list[str]] = answers[split]) -> str:
            return rng.choice(of_kind[rng.choice(sorted(of_kind))])

        for image in images[split]:
            for _ in range(views if split == "train" else 1):
                views_of_split.append(caption_turns(captions[image], strange_caption, wordings, rng))
        for image, asked in questions.items():
            if split_of(image) == split:
                for _ in range(question_views if split == "train" else 1):
                    views_of_split.append(question_turns(asked, strange_answer, rng))
        rng.shuffle(views_of_split)
        lines[split] = [
            {"context": context, **turn}
            for context, turns in views_of_split
            for context in ["" if split == "train" and rng.random() < _plain_share(turns) else context]
            for turn in turns
        ]
    return lines


def _plain_share(turns: Sequence[Line]) -> float:
    return PLAIN_SHARE.get(turns[0]["task"], 0.0)


def read_mix(path: Path) -> list[dict[str, str]]:
    """The rows of a mix."""
    return pyarrow.parquet.read_table(path, columns=["image", "query", "answer", "task"]).to_pylist()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="samples.parquet of the filtered pairs")
    parser.add_argument("--mix", type=Path, help="samples.parquet of a mix with questions, descriptions and truth")
    parser.add_argument("--views", type=int, default=1, help="contexts for each picture with captions")
    parser.add_argument("--question-views", type=int, default=5, help="contexts for each picture with questions")
    parser.add_argument("--seed", type=int, default=0, help="seed of all that is drawn")
    parser.add_argument("--output", type=Path, required=True, help="folder of the corpus")
    arguments = parser.parse_args(argv)
    rows = read_mix(arguments.mix) if arguments.mix else []
    captions = read_captions(arguments.pairs)
    lines = corpus_lines(captions, rows, arguments.views, arguments.question_views, arguments.seed)
    files = {}
    for split, name in SPLIT_FILES.items():
        path = arguments.output / name
        write_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines[split]))
        files[name] = {"sha256": sha256_of_file(path), "count": len(lines[split])}
    write_json(arguments.output / "manifest.json", {"count": len(lines["train"]), "files": files})


if __name__ == "__main__":
    run_command(main)
