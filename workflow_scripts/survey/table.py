"""Table 3 from the summary of a survey."""

from collections.abc import Mapping
from typing import Any

from workflow_scripts.report.tables import Matrix

NOTE = (
    "The report prints the means of the questions and over all; a task's is the mean of its three. "
    "Ours are of another survey: other questions, pictures and people."
)


def three_figures(value: float | None) -> str:
    """A mean to three significant figures, as the reference prints it; nothing for none."""
    return "" if value is None else f"{value:#.3g}"


def to_matrix(summary: Mapping[str, Any]) -> Matrix:
    """Table 3 as a table of the report."""
    lines = [
        [
            row["label"],
            three_figures(row["reported"]),
            three_figures(row["mean"]),
            "{:.2f} to {:.2f}".format(*row["ci95"]) if row["ci95"] else "",
            str(row["n"] or ""),
        ]
        for row in summary["rows"]
    ]
    columns = ("", "report", "ours", "95 % interval", "people")
    return Matrix("survey", "Table 3. Survey: mean rating from 1 to 5", columns, lines, (describe(summary), NOTE))


def describe(summary: Mapping[str, Any]) -> str:
    """How many people have answered, in a sentence."""
    count = summary["responses"]
    if count == 0:
        return "Nobody has answered the survey yet; `make survey` serves it."
    return f"{count} {'person has' if count == 1 else 'people have'} answered the survey."
