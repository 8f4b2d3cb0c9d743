"""Tables of figures, and how each format writes them."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from workflow_scripts.report.expected import Verdict

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
    split: str = ""
    wording: str | None = None
    """Key of the words that the reported value stands in."""

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
    """A table of the report; of figures that no report has, the split stands in the place of the reported value."""

    name: str
    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)
    of_split: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return ("", "split" if self.of_split else "report", "ours", "95 % interval", "n", "verdict", "run")

    @property
    def lines(self) -> list[list[str]]:
        """The cells of all rows."""
        if not self.of_split:
            return [row.cells for row in self.rows]
        return [[cells[0], row.split, *cells[2:]] for row in self.rows for cells in [row.cells]]


@dataclass(frozen=True)
class Matrix:
    """A table of plain values, as of kinds of questions by system."""

    name: str
    title: str
    columns: Sequence[str]
    lines: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default_factory=tuple)
    links: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Where a page says what a cell (line, column) is from: the id of its figure, or the anchor of another place."""


def to_markdown(table: Table | Matrix) -> str:
    """A table in Markdown, its title above and its notes below."""
    alignment = "|---" + "".join("|---" if column in ("verdict", "run") else "|---:" for column in table.columns[1:])
    lines = [f"**{table.title}**", "", "| " + " | ".join(table.columns) + " |", alignment + "|"]
    lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |" for cells in table.lines]
    return "\n".join([*lines, "", *(f"- {note}" for note in table.notes)]).rstrip() + "\n"


def to_csv(table: Table | Matrix) -> str:
    """A table as CSV, with the figures' ids and unrounded values."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if isinstance(table, Matrix):
        writer.writerows([["label", *table.columns[1:]], *table.lines])
        return stream.getvalue()
    names = ["label", "id", "reported", "value", "ci95_low", "ci95_high", "n", "verdict", "run_id", "command", "split"]
    writer.writerow(names)
    for row in table.rows:
        low, high = row.interval or ("", "")
        value, n = ("" if number is None else number for number in (row.value, row.n))
        start = [row.cells[0], row.id or "", row.reported, value, low, high, n]
        writer.writerow([*start, row.verdict.text, row.run_id or "", row.command or "", row.split])
    return stream.getvalue()


def to_latex(table: Table | Matrix) -> str:
    """A table in LaTeX (booktabs)."""
    special = str.maketrans(
        {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}", "<": "$<$", ">": "$>$"}
        | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
    )
    alignment = "l" + "".join("l" if column in ("verdict", "run") else "r" for column in table.columns[1:])
    lines = [
        r"\begin{table}",
        rf"\caption{{{table.title.translate(special)}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(column.translate(special) for column in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(cell.translate(special) for cell in cells) + r" \\" for cells in table.lines),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


WRITERS: dict[str, Callable[[Table | Matrix], str]] = {"md": to_markdown, "csv": to_csv, "tex": to_latex}
