"""The report's tables, as Markdown, CSV and LaTeX; a figure that no run gave is an empty cell."""

import argparse
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.command_line import read_json, run_command, write_atomically
from workflow_scripts.config.report import ReportSettings
from workflow_scripts.report.collect_results import read_scores
from workflow_scripts.report.expected import (
    Breakdowns,
    ReportedFigures,
    Results,
    ScaleExpectations,
    Verdict,
    by_id,
    judge,
    read_expected,
    two_decimals,
)
from workflow_scripts.report.names import METHODS, figure_name, split_experiment

NO_VERDICT = Verdict("", "none")


@dataclass(frozen=True)
class Row:
    """One figure of a table; without an entry its cells stay empty."""

    label: str
    id: str | None
    reported: str = ""
    value: float | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None
    verdict: Verdict = NO_VERDICT
    run_id: str | None = None
    command: str | None = None
    group: str = ""

    @property
    def cells(self) -> list[str]:
        """Label, reported, ours, interval, n, verdict, run."""
        interval = f"{self.interval[0]:.1f} to {self.interval[1]:.1f}" if self.interval else ""
        ours = "" if self.value is None else f"{self.value:.1f}"
        label = f"{self.group}, {self.label}" if self.group else self.label
        n = "" if self.n is None else str(self.n)
        return [label, self.reported, ours, interval, n, self.verdict.text, self.run_id or ""]


@dataclass(frozen=True)
class Table:
    """A table of the report."""

    name: str
    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)

    columns = ("", "report", "ours", "95 % interval", "n", "verdict", "run")


def build_tables(
    results: Results,
    breakdowns: Breakdowns,
    reported: ReportedFigures,
    scale: ScaleExpectations,
    meaningful: bool = True,
) -> list[Table]:
    """All tables of the report, in its order."""
    printed = {figure.id: figure for figure in reported.figures}

    def row(label: str, id: str, group: str = "") -> Row:
        entry, reference = results.get(id), printed.get(id)
        verdict = judge(id, results, breakdowns, scale, reference)
        if entry is not None and not meaningful:
            verdict = Verdict("no meaning", "none")
        text = reference.text if reference else ""
        if entry is None:
            return Row(label, id, text, verdict=verdict, group=group)
        return Row(
            label,
            id,
            text,
            entry["value"],
            tuple(entry["ci95"]),
            entry["n"],
            verdict,
            entry.get("adaptor_run_id") or entry.get("run_id"),
            entry.get("command"),
            group,
        )

    ranks = {f"r_at_{k}": f"R@{k}" for k in (1, 5, 10)} | {"colour_matched_r_at_1": "R@1, colour-matched"}
    retrieval = [
        row(label, f"coco_retrieval.{method}.{rank}", name)
        for method, name in METHODS.items()
        for rank, label in ranks.items()
    ]
    exact = [
        row("before finetuning", "visual_genome.exact_match.before"),
        row("before, answer contained", "visual_genome.exact_match.before.contained"),
        row("after finetuning", "visual_genome.exact_match.after"),
        row("after, answer contained", "visual_genome.exact_match.after.contained"),
        row("control: images shuffled", "visual_genome.exact_match.after_shuffled_images"),
        row("control: question only", "visual_genome.exact_match.question_only"),
    ]
    okvqa = [
        row("ours, zero-shot", "okvqa.accuracy.zero_shot"),
        row("ours, finetuned on OK-VQA", "okvqa.accuracy.finetuned"),
    ] + [Row(other.system, None, two_decimals(other.value)) for other in reported.others if other.table == "okvqa"]
    boxes = [row("Acc@0.5", "refcoco.accuracy_iou50"), row("mean IoU", "refcoco.mean_iou")]
    others = sorted(
        (experiment, plain, id) for id in results for plain, experiment in [split_experiment(id)] if experiment
    )
    experiments = [row(figure_name(plain), id, experiment) for experiment, plain, id in others]
    notes = {table: [doubt.text for doubt in reported.doubts if doubt.table == table] for table in _TITLES}
    rows = {"retrieval": retrieval, "exact_match": exact, "okvqa": okvqa, "refcoco": boxes, "experiments": experiments}
    return [Table(name, title, rows[name], notes[name]) for name, title in _TITLES.items() if rows[name]]


_TITLES = {
    "retrieval": "Table 1. Text-to-image retrieval, first caption only",
    "exact_match": "Finetuning. Exact match on Visual Genome questions and relationships",
    "okvqa": "Table 2. OK-VQA, VQA accuracy",
    "refcoco": "Referring expressions. RefCOCO val, boxes as text",
    "experiments": "Experiments. What differs from the report's system in one setting",
}


def to_markdown(table: Table) -> str:
    """A table in Markdown, its title above and its notes below."""
    lines = [f"**{table.title}**", "", "| " + " | ".join(table.columns) + " |"]
    lines.append("|---|" + "---:|" * 4 + "---|---|")
    lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in row.cells) + " |" for row in table.rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in table.notes)]).rstrip() + "\n"


def to_csv(table: Table) -> str:
    """A table as CSV, with the figures' ids and unrounded values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["label", "id", "reported", "value", "ci95_low", "ci95_high", "n", "verdict", "run_id", "command"])
    for row in table.rows:
        low, high = row.interval or ("", "")
        value = "" if row.value is None else row.value
        verdict = row.verdict.text
        label, run_id, n = row.cells[0], row.run_id or "", "" if row.n is None else row.n
        writer.writerow([label, row.id or "", row.reported, value, low, high, n, verdict, run_id, row.command or ""])
    return stream.getvalue()


def to_latex(table: Table) -> str:
    """A table in LaTeX (booktabs)."""
    special = str.maketrans(
        {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "<": "$<$", ">": "$>$"}
        | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    )
    lines = [
        r"\begin{table}",
        rf"\caption{{{table.title.translate(special)}}}",
        r"\begin{tabular}{lrrrrll}",
        r"\toprule",
        " & ".join(column.translate(special) for column in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(cell.translate(special) for cell in row.cells) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


WRITERS: dict[str, Callable[[Table], str]] = {"md": to_markdown, "csv": to_csv, "tex": to_latex}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results.json")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="scores.json files, for break-downs by kind")
    parser.add_argument("--reported", type=Path, default=Path("expected/report.yaml"))
    parser.add_argument("--expected", type=Path, required=True, help="expected/<scale>.yaml")
    parser.add_argument("--settings", type=ReportSettings.model_validate_json, help="whether figures are meaningful")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    arguments = parser.parse_args(argv)
    tables = build_tables(
        by_id(read_json(arguments.results)),
        {one["id"]: one.get("breakdown", {}) for one in read_scores(arguments.scores)},
        read_expected(arguments.reported, ReportedFigures),
        read_expected(arguments.expected, ScaleExpectations),
        arguments.settings is None or arguments.settings.figures_are_meaningful,
    )
    for table in tables:
        for suffix, write in WRITERS.items():
            write_atomically(arguments.output / f"{table.name}.{suffix}", write(table))
    print(f"{len(tables)} tables in {arguments.output}")


if __name__ == "__main__":
    run_command(main)
