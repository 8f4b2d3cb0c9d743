"""Draw the survey's nine questions: three about pictures, three about relations, three that ask for a description.

They are drawn by a seed from the questions of a benchmark, each about another picture, and not picked by hand.
"""

import argparse
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.command_line import run_command
from workflow_scripts.data.tables import write_table
from workflow_scripts.evaluation.predictions import read_questions

EACH = 3
TASKS = ("question", "relation", "description")


def draw_questions(rows: Sequence[Mapping[str, Any]], seed: int) -> list[dict[str, Any]]:
    """Nine rows of a benchmark's table, three of each task in the order of `TASKS`, each about another picture.

    ValueError where the benchmark has too few.
    """
    shuffled = random.Random(seed).sample(list(rows), len(rows))
    relations = [row for row in shuffled if _asks_for_relation(row)]
    others = [row for row in shuffled if row["task"] == "vqa" and not _asks_for_relation(row)]
    seen: set[str] = set()
    chosen = [
        *_take(_by_kind(others), "question", seen),
        *_take(relations, "relation", seen),
        *_take(shuffled, "description", seen),
    ]
    for number, row in enumerate(chosen, start=1):
        row["id"] = f"Q{number}"
        if row["task"] == "description":
            row |= {"query": load_catalogue().task("description").templates[0], "answer": "", "answers": []}
    return chosen


def _asks_for_relation(row: Mapping[str, Any]) -> bool:
    return row["task"] == "relationship" or row.get("kind") == "relation"


def _by_kind(rows: Sequence[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """The rows, kinds of questions in turn."""
    turns: dict[Any, int] = {}
    order = []
    for row in rows:
        turns[row.get("kind")] = turns.get(row.get("kind"), 0) + 1
        order.append(turns[row.get("kind")])
    return [row for _, row in sorted(zip(order, rows, strict=True), key=lambda pair: pair[0])]


def _take(rows: Iterable[Mapping[str, Any]], task: str, seen: set[str]) -> list[dict[str, Any]]:
    """The first rows about pictures that were not seen yet."""
    chosen: list[dict[str, Any]] = []
    for row in rows:
        if len(chosen) < EACH and row["image"] not in seen:
            seen.add(row["image"])
            chosen.append({**row, "task": task, "kind": task, "box": None})
    if len(chosen) < EACH:
        raise ValueError(
            f"The survey needs {EACH} questions of the task {task!r} about different pictures, and the benchmark has "
            f"{len(chosen)}; ask more questions in it (its number is a setting of the scale)."
        )
    return chosen


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, required=True, help="questions.parquet of a benchmark")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="questions.parquet to write")
    arguments = parser.parse_args(argv)
    rows = draw_questions(read_questions(arguments.questions), arguments.seed)
    write_table(arguments.output.parent, arguments.output.name, rows, {"seed": arguments.seed})
    print(f"{len(rows)} questions in {arguments.output}")


if __name__ == "__main__":
    run_command(main)
