"""Compare results.json with what the scale must reach and with our own earlier figures; exit 1 where they miss it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import read_json, run_command
from workflow_scripts.report.collect_results import read_scores
from workflow_scripts.report.expected import ScaleExpectations, by_id, read_expected


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results.json")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="scores.json files, for break-downs by kind")
    parser.add_argument("--expected", type=Path, required=True, help="expected/<scale>.yaml")
    arguments = parser.parse_args(argv)
    results = by_id(read_json(arguments.results))
    breakdowns = {one["id"]: one.get("breakdown", {}) for one in read_scores(arguments.scores)}
    scale = read_expected(arguments.expected, ScaleExpectations)

    missed = 0
    for requirement in scale.requirements:
        found, reached = requirement.check(results, breakdowns)
        word = {True: "reached", False: "MISSED", None: "absent"}[reached]
        missed += requirement.level == "must" and reached is not True
        print(f"{requirement.level}  {word:8s} {requirement.statement}" + (f": {found}" if found else ""))
        if reason := requirement.reason(reached):
            print(f"      {reason}")
    for figure in scale.figures:
        entry = results.get(figure.id)
        inside = entry is not None and abs(entry["value"] - figure.value) <= figure.tolerance
        missed += not inside
        value = f"{entry['value']:.2f}" if entry else "absent"
        word = "inside" if inside else "OUTSIDE"
        print(f"ours  {word:8s} {figure.id}: {value}, expected {figure.value:g} ± {figure.tolerance:g}")
    if missed:
        sys.exit(f"error: {missed} expectations of {arguments.expected} are not met")


if __name__ == "__main__":
    run_command(main)
