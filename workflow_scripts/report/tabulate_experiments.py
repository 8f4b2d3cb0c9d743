"""Write the table of experiments and benchmarks in three formats, and a page that says the origin of each cell."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import jinja2

from workflow_scripts.command_line import read_json, run_command, write_atomically
from workflow_scripts.report.experiment_table import ExperimentTable, build_experiment_table
from workflow_scripts.report.tables import WRITERS

TEMPLATES = Path(__file__).parent / "templates"


def render(table: ExperimentTable, title: str, warning: str) -> str:
    """The page: one table, and below it run id, command, configuration and data manifest of each cell."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    matrix = table.to_matrix()
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    template = environment.get_template("experiments.html.j2")
    return template.render(table=table, matrix=matrix, title=title, warning=warning, style=style)


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
    runs = {read_json(path)["run_id"]: path for path in arguments.runs}
    table = build_experiment_table(arguments.experiments, runs)
    matrix = table.to_matrix()
    for suffix, write in WRITERS.items():
        write_atomically(arguments.output / f"experiments.{suffix}", write(matrix))
    write_atomically(arguments.output / "index.html", render(table, arguments.title, arguments.warning))
    print(WRITERS["md"](matrix))


if __name__ == "__main__":
    run_command(main)
