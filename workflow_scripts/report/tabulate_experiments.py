"""Write the table of experiments and benchmarks in three formats, and a page that says the origin of each cell."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command, write_atomically
from workflow_scripts.report.experiment_table import build_experiment_table
from workflow_scripts.report.pages import render
from workflow_scripts.report.provenance import describe_runs
from workflow_scripts.report.tables import WRITERS


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--experiments", type=json.loads, required=True, help='JSON: {experiment: {figure id: "scores.json"}}'
    )
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run.json files of the trainings")
    parser.add_argument("--title", default="Experiments", help="heading of the page")
    parser.add_argument("--warning", default="", help="a sentence on top of the page")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args(argv)
    table = build_experiment_table(arguments.experiments)
    matrix = table.to_matrix()
    for suffix, write in WRITERS.items():
        write_atomically(arguments.output / f"experiments.{suffix}", write(matrix))
    content = {"title": arguments.title, "warning": arguments.warning, "table": table, "matrix": matrix}
    page = render("experiments.html.j2", {**content, "runs": describe_runs(arguments.runs)})
    write_atomically(arguments.output / "index.html", page)
    print(WRITERS["md"](matrix))


if __name__ == "__main__":
    run_command(main)
