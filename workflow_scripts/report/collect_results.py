"""Collect the figures of all scores into results.json: a list of id, value, n, interval, reported value, origin."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, run_command, write_json
from workflow_scripts.report.expected import ReportedFigures, read_expected

_RUN_FOLDER = re.compile(r"-([0-9a-f]{12})$")


def read_scores(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The scores of several files, each with its `path` and the `run_id` that its folder's name ends in."""
    scores = []
    for path in paths:
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("figures"), list):
            raise ValueError(f"{path} is not a scores file (it has no figures); run its scorer again.")
        match = _RUN_FOLDER.search(Path(path).parent.name)
        scores.append(content | {"path": str(path), "run_id": match.group(1) if match else None})
    return scores


def collect(scores: Sequence[dict[str, Any]], reported: ReportedFigures) -> list[dict[str, Any]]:
    """Entries of results.json, sorted by id; one id from two files is an error."""
    printed = {figure.id: figure for figure in reported.figures}
    entries: dict[str, dict[str, Any]] = {}
    origin: dict[str, str] = {}
    for one in scores:
        for figure in one["figures"]:
            id = figure["id"]
            if id in entries:
                raise ValueError(f"{id} stands in {origin[id]} and in {one['path']}; give one of them another --id.")
            origin[id] = one["path"]
            entries[id] = {
                **{key: figure[key] for key in ("id", "value", "unit", "n", "ci95")},
                "split": one.get("split"),
                "reported": printed[id].value if id in printed else None,
                "run_id": one["run_id"],
                "adaptor_run_id": one.get("adaptor_run_id"),
                "command": one.get("command"),
            }
    return [entries[id] for id in sorted(entries)]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="scores.json files")
    parser.add_argument("--reported", type=Path, default=Path("expected/report.yaml"))
    parser.add_argument("--output", type=Path, required=True, help="results.json to write")
    arguments = parser.parse_args(argv)
    entries = collect(read_scores(arguments.scores), read_expected(arguments.reported, ReportedFigures))
    write_json(arguments.output, entries)
    print(f"{len(entries)} figures of {len(arguments.scores)} scorings")


if __name__ == "__main__":
    run_command(main)
