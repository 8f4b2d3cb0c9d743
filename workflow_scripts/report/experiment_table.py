"""The table of experiments and benchmarks: each cell with interval, origin and how it compares with the first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.evaluation.paired_bootstrap import Comparison, NotComparableError, compare
from workflow_scripts.report.collect_results import read_scores
from workflow_scripts.report.names import figure_name, split_experiment
from workflow_scripts.report.provenance import Origin, origin_of
from workflow_scripts.report.tables import Matrix

NOTES = (
    "In each column the best value is marked by *, unless all are equal. An arrow says that the experiment differs "
    "from the first row of its column, `report` where it has the figure, on the same questions (paired bootstrap over "
    "images, the 95 % interval of the difference leaves out 0): ↑ better, ↓ worse; “=”: the very same run.",
    "An empty cell is a figure that no training of the row gives.",
    "With several comparisons a table has a false arrow now and then: one in twenty where nothing differs.",
)


@dataclass(frozen=True)
class Cell:
    """One figure of one experiment and where it is from."""

    id: str
    value: float
    interval: tuple[float, float] | None
    n: int
    best: bool
    same_run: bool
    comparison: Comparison | None
    origin: Origin

    @property
    def arrow(self) -> str:
        """How it compares with the first row of its column, in a sign."""
        if self.same_run:
            return "="
        if self.comparison is None or not self.comparison.differ:
            return ""
        return "↑" if self.comparison.difference > 0 else "↓"

    @property
    def text(self) -> str:
        """The cell as a table prints it."""
        interval = " [{:.1f}, {:.1f}]".format(*self.interval) if self.interval else ""
        best = "*" if self.best else ""
        return f"{self.value:.1f}{best}{interval} {self.arrow}".rstrip()


@dataclass(frozen=True)
class ExperimentTable:
    """Cells by experiment and figure, both in their order; an absent cell is one that no training of the row gives."""

    experiments: Sequence[str]
    figures: Sequence[str]
    cells: Mapping[tuple[str, str], Cell]

    @property
    def scorings(self) -> list[tuple[str, Cell]]:
        """Each scoring once, with its figure and the experiments that share it, in the order of the columns."""
        shared: dict[str, list[str]] = {}
        found: dict[str, tuple[str, Cell]] = {}
        for figure in self.figures:
            for experiment in self.experiments:
                cell = self.cells.get((experiment, figure))
                if cell:
                    labels = shared.setdefault(cell.origin.anchor, [])
                    labels.append(experiment)
                    found[cell.origin.anchor] = (f"{self.name_of(figure)}: {', '.join(labels)}", cell)
        return list(found.values())

    def name_of(self, figure: str) -> str:
        """A column in words, after the figure that the scorer itself names first."""
        first = next(cell for (_, name), cell in self.cells.items() if name == figure)
        return figure_name(split_experiment(first.id)[0])

    def to_matrix(self) -> Matrix:
        """The table in the form that the report's writers take."""
        lines = []
        for experiment in self.experiments:
            cells = [self.cells.get((experiment, figure)) for figure in self.figures]
            lines.append([experiment, *(cell.text if cell else "" for cell in cells)])
        columns = ["", *(self.name_of(figure) for figure in self.figures)]
        return Matrix("experiments", "Experiments and benchmarks, % with 95 % intervals", columns, lines, NOTES)


def _compare(first: Mapping[str, Any], second: Mapping[str, Any], seed: int) -> Comparison | None:
    try:
        return compare(first, second, seed)
    except NotComparableError:  # of one image, or not defined
        return None


def build_experiment_table(experiments: Mapping[str, Mapping[str, Path]], seed: int = 0) -> ExperimentTable:
    """Read the scores of each experiment, by the plain id of their figure, and compare them with the first that has it.

    ValueError where a file is no scores file or lacks its questions.
    """
    paths = list(dict.fromkeys(path for row in experiments.values() for path in row.values()))
    read = dict(zip(paths, read_scores(paths), strict=True))
    figures = list(dict.fromkeys(name for row in experiments.values() for name in row))
    cells = {}
    for name in figures:
        column = {label: row[name] for label, row in experiments.items() if name in row}
        values = {label: float(read[path]["figures"][0]["value"]) for label, path in column.items()}
        first, path_of_first = next(iter(column.items()))
        for label, path in column.items():
            figure = read[path]["figures"][0]
            cells[label, name] = Cell(
                id=figure["id"],
                value=figure["value"],
                interval=tuple(figure["ci95"]) if figure["ci95"] else None,
                n=figure["n"],
                best=min(values.values()) < values[label] == max(values.values()),
                same_run=label != first and path == path_of_first,
                comparison=_compare(read[path_of_first], read[path], seed) if path != path_of_first else None,
                origin=origin_of(read[path]),
            )
    return ExperimentTable(list(experiments), figures, cells)
