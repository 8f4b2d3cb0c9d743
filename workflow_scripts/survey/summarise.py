"""Table 3: mean rating of each question, of each task and over all, from the responses to a survey, and a plot."""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from workflow_scripts.command_line import run_command, write_atomically, write_json
from workflow_scripts.evaluation.bootstrap import confidence_interval
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.report.expected import ReportedFigures, read_expected
from workflow_scripts.report.render_figures import STYLE, to_svg
from workflow_scripts.report.tables import WRITERS
from workflow_scripts.survey.build_survey import read_survey
from workflow_scripts.survey.responses import RATINGS, Response, ResponseStore
from workflow_scripts.survey.table import describe, three_figures, to_matrix

TASKS = {"question": "Questions", "relation": "Relations", "description": "Descriptions"}
# From bad over middling to good, told apart without colour vision too.
_COLOURS = ("#a63d28", "#dc9a86", "#e3e1d9", "#8fb0cf", "#0f4c81")


def summarise(
    survey: Mapping[str, Any], responses: Sequence[Response], reported: Mapping[str, float]
) -> dict[str, Any]:
    """Rows of Table 3: label, id, reported mean, our mean with 95 % interval over people, n, counts of each rating.

    The reference prints the means of the questions and over all: a task's is that of its questions.
    """
    questions = survey["questions"]
    groups = [(f"Q{one['number']}", f"survey.q{one['number']}", [one["number"]]) for one in questions]
    for task, label in TASKS.items():
        numbers = [one["number"] for one in questions if one["task"] == task]
        groups.append((f"{label} (Q{numbers[0]} to Q{numbers[-1]})", f"survey.{task}", numbers))
    groups.append(("Overall", "survey.overall", [one["number"] for one in questions]))
    rows = []
    for label, id, numbers in groups:
        printed = [reported[name] for name in (f"survey.q{number}" for number in numbers) if name in reported]
        mean = float(np.mean(printed)) if len(printed) == len(numbers) else None
        row: dict[str, Any] = {"label": label, "id": id, "reported": reported.get(id, mean), "n": len(responses)}
        ratings = [response.ratings[number] for response in responses for number in numbers]
        row["counts"] = [ratings.count(rating) for rating in RATINGS]
        row["mean"], row["ci95"] = None, None
        if ratings:
            people = [response.respondent for response in responses for _ in numbers]
            row["mean"] = float(np.mean(ratings))
            if len(responses) > 1:  # one person's answers say nothing of how people spread
                row["ci95"] = list(confidence_interval(np.array(ratings), people))
        rows.append(row)
    comments = [response.comment for response in responses if response.comment]
    shown = [{key: one[key] for key in ("number", "task", "query", "answer", "picture")} for one in questions]
    head = {"survey": survey["id"], "run_id": survey["run_id"], "responses": len(responses), "rows": rows}
    return {**head, "comments": comments, "questions": shown}


def draw_distribution(summary: Mapping[str, Any]) -> Figure:
    """The share of each rating, one bar a question, from 1 on the left to 5 on the right."""
    rows = [row for row in summary["rows"] if len(row["id"]) == len("survey.q1")]
    figure = Figure(figsize=(5.2, 0.36 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    shares = 100 * np.array([row["counts"] for row in rows], dtype=float) / summary["responses"]
    left = np.zeros(len(rows))
    for rating, colour in zip(RATINGS, _COLOURS, strict=True):
        share = shares[:, rating - 1]
        axes.barh(range(len(rows)), share, left=left, height=0.72, color=colour, label=str(rating))
        left += share
    axes.set_yticks(range(len(rows)), [f"{row['label']}  {three_figures(row['mean'])}" for row in rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="share of the people, %", xlim=(0, 100))
    axes.legend(fontsize=9, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=1.0)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--survey", type=Path, required=True, help="survey.json")
    parser.add_argument("--responses", type=Path, required=True, help="SQLite file; one that is not there has none")
    parser.add_argument("--reported", type=Path, default=Path("expected/report.yaml"))
    parser.add_argument("--output", type=Path, required=True, help="folder: summary.json, table, distribution.svg")
    arguments = parser.parse_args(argv)
    survey = read_survey(arguments.survey)
    responses, others = [], 0
    inputs = [arguments.survey]
    if arguments.responses.exists():
        inputs.append(arguments.responses)
        store = ResponseStore(arguments.responses)
        responses, others = store.read(survey["id"]), store.others(survey["id"])
    printed = {one.id: one.value for one in read_expected(arguments.reported, ReportedFigures).figures}
    summary = summarise(survey, responses, printed)
    summary["other_responses"] = others
    summary["command"] = shlex.join(["python", "-m", "workflow_scripts.survey.summarise", *map(str, argv)])
    summary["inputs"] = {str(path): sha256_of_file(path) for path in inputs}
    plot = arguments.output / "distribution.svg"
    plot.unlink(missing_ok=True)
    if responses:
        with mpl.rc_context(STYLE):
            write_atomically(plot, to_svg(draw_distribution(summary)))
    for suffix, write in WRITERS.items():
        write_atomically(arguments.output / f"table_3.{suffix}", write(to_matrix(summary)))
    write_json(arguments.output / "summary.json", summary)
    print(describe(summary))


if __name__ == "__main__":
    run_command(main)
