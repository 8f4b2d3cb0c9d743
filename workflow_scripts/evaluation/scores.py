"""`scores.json`: figures with n and interval, break-downs, and what they were computed from."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import write_json
from workflow_scripts.evaluation.bootstrap import confidence_interval, median_interval
from workflow_scripts.given_files import read_given_json
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.revision import git_revision

NO_INTERVAL = "There is no interval: it is taken over images, and there is one."
WARNED_SHARE = 0.05
"""From this share of the predictions on, that they say nothing, or nothing that can be read, is a warning."""
UNREAD = {
    "unparsable": "replies hold no box that can be read; they count as wrong.",
    "outside_the_image": "boxes leave their pictures; --help says how boxes are read.",
    "empty_predictions": "predictions are empty.",
}


def add_common_arguments(parser: argparse.ArgumentParser, id: str) -> None:
    """The options that every scorer shares; `id` is what its figure is called where nobody names it."""
    parser.add_argument("--id", default=id, help="id of the figure, e.g. my_questions.exact_match.after")
    parser.add_argument("--suffix", default="", help="end of the figures' names, e.g. _shuffled_images")
    parser.add_argument("--benchmark", help="what the ids of the benchmark's figures start with; else their first part")
    parser.add_argument("--output", type=Path, required=True, help="the scores.json to write")
    parser.add_argument("--run", type=Path, help="run.json of the training whose adaptor is scored")
    parser.add_argument("--seed", type=int, default=0, help="seed of the bootstrap")
    parser.add_argument("--split", help="split of the data that is scored, noted beside each figure")


def figure(id: str, values: np.ndarray, images: Sequence[str], seed: int) -> dict[str, Any]:
    """The mean of values [N] in per cent with its 95 % interval over images [N], None for a single image."""
    low, high = confidence_interval(values, images, seed)
    return {
        "id": id,
        "value": _per_cent(float(np.mean(values))),
        "unit": "%",
        "n": len(values),
        "ci95": [_per_cent(low), _per_cent(high)] if has_interval(images) else None,
    }


def has_interval(images: Sequence[str]) -> bool:
    """Whether values of images [N] have an interval: of a single image each resample is the same."""
    return len(set(images)) > 1


def median_figure(id: str, ranks: np.ndarray, images: Sequence[str], seed: int) -> dict[str, Any]:
    """The median of ranks [N], the best 1, with its 95 % interval over images [N]."""
    low, high = median_interval(ranks, images, seed)
    value = float(np.median(ranks))
    interval = [low, high] if has_interval(images) else None
    return {"id": id, "value": value, "unit": "rank", "n": len(ranks), "ci95": interval}


def break_down(
    values: np.ndarray, kinds: Sequence[str | None], images: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """Mean of values [N] in per cent, number and 95 % interval for each kind [N], kinds in alphabetical order.

    The interval of a kind of a single image has no width, which the number beside it explains.
    """
    import pandas  # takes a second

    of_kind = pandas.Series([kind or "other" for kind in kinds], dtype=object)
    names = np.asarray(images, dtype=str)
    found = {}
    for kind, rows in sorted(of_kind.groupby(of_kind).indices.items()):
        one = figure(kind, values[rows], names[rows], seed)
        found[kind] = {"value": one["value"], "n": one["n"], "ci95": one["ci95"] or [one["value"]] * 2}
    return found


def per_question(ids: Sequence[Any], values: np.ndarray, images: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Values [N] in per cent, whose mean is the first figure, and images [N] by question: what a paired test needs."""
    names = list(map(str, ids))
    return {
        "per_question": dict(zip(names, np.round(100 * values, 4).tolist(), strict=True)),
        "image_of_question": dict(zip(names, images, strict=True)),
    }


def write_scores(
    arguments: argparse.Namespace,
    module: str,
    argv: Sequence[str],
    definition: str,
    figures: Sequence[Mapping[str, Any]],
    inputs: Sequence[Path],
    **more: Any,
) -> None:
    """Write scores.json with the command that makes it again and the checksums of what it read; `n` and `ci95` at its
    top are those of the first figure."""
    reasons = [more.get("absent"), None if all(one["ci95"] for one in figures) else NO_INTERVAL]
    if any(reasons):
        more["absent"] = " ".join(filter(None, reasons))
    write_json(
        arguments.output,
        {
            "benchmark": arguments.benchmark or arguments.id.split("@")[0].split(".")[0],
            "id": arguments.id + arguments.suffix,
            "split": arguments.split,
            "definition": definition,
            "n": figures[0]["n"],
            "ci95": figures[0]["ci95"],
            "figures": [{**one, "id": f"{one['id']}{arguments.suffix}"} for one in figures],
            **more,
            "adaptor_run_id": _run_id(arguments.run) if arguments.run else None,
            "command": shlex.join(["python", "-m", f"workflow_scripts.evaluation.{module}", *map(str, argv)]),
            "inputs": {str(path): sha256_of_file(path) for path in inputs},
            "git_revision": git_revision(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
        },
    )
    for name, words in UNREAD.items():
        if more.get(name, 0) >= WARNED_SHARE * figures[0]["n"] > 0:
            print(f"warning: {more[name]} of {figures[0]['n']} {words}", file=sys.stderr)
    for one in figures:
        interval = "[{:.2f}, {:.2f}]".format(*one["ci95"]) if one["ci95"] else "without interval"
        name = f"{one['id']}{arguments.suffix}"
        print(f"{name}: {one['value']:.2f} {one['unit']} {interval}, n = {one['n']}")
    if any(reasons):
        print(f"note: {more['absent']}", file=sys.stderr)


def _run_id(path: Path) -> str:
    run = read_given_json(path)
    if not isinstance(run, dict) or not isinstance(run.get("run_id"), str):
        raise ValueError(f"{path} has no run_id; give the run.json of a training to --run.")
    return run["run_id"]


def _per_cent(share: float) -> float:
    return round(100 * share, 4)
