"""The table of experiments and benchmarks: each cell with interval, origin and how it compares with the first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json
from workflow_scripts.evaluation.paired_bootstrap import Comparison, compare
from workflow_scripts.report.names import figure_name, split_experiment
from workflow_scripts.report.tables import Matrix

NOTES = (
    "In each column the best value is marked by *. An arrow says that the experiment differs from the first row of its "
    "column, `report` where it has the figure, on the same questions (paired bootstrap over images, the 95 % interval "
    "of the difference leaves out 0): ↑ better, ↓ worse; “=”: the very same run.",
    "With several comparisons a table has a false arrow now and then: one in twenty where nothing differs.",
)


@dataclass(frozen=True)
class Cell:
    """One figure of one experiment and where it is from."""

    id: str
    value: float
    interval: tuple[float, float]
    n: int
    unit: str
    best: bool
    same_run: bool
    comparison: Comparison | None
    run_id: str | None
    adaptor_run_id: str | None
    scores: str
    command: str
    config: str | None
    samples_sha256: str | None
    samples: str | None

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
        low, high = self.interval
        best = "*" if self.best else ""
        return f"{self.value:.1f}{best} [{low:.1f}, {high:.1f}] {self.arrow}".rstrip()


@dataclass(frozen=True)
class ExperimentTable:
    """Cells by experiment and figure, both in their order; an absent cell is one that no training of the row gives."""

    experiments: Sequence[str]
    figures: Sequence[str]
    cells: Mapping[tuple[str, str], Cell]

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


def build_experiment_table(
    experiments: Mapping[str, Mapping[str, Path]], runs: Mapping[str, Path], seed: int = 0
) -> ExperimentTable:
    """Read the scores of each experiment, by the plain id of their figure, and compare them with the first that has it.

    `runs` holds the run.json of trainings by run id. ValueError where a file is no scores file or lacks its questions.
    """
    read = {path: read_json(path) for row in experiments.values() for path in row.values()}
    figures = list(dict.fromkeys(name for row in experiments.values() for name in row))
    values = {
        (label, name): float(read[path]["figures"][0]["value"])
        for label, row in experiments.items()
        for name, path in row.items()
    }
    cells = {}
    for label, row in experiments.items():
        for name, path in row.items():
            first, theirs = next((other, paths[name]) for other, paths in experiments.items() if name in paths)
            rivals = {paths[name] for paths in experiments.values() if name in paths}
            cells[label, name] = _cell(
                read[path],
                path,
                runs,
                best=len(rivals) > 1
                and values[label, name] == max(value for (_, other), value in values.items() if other == name),
                same_run=label != first and path == theirs,
                comparison=compare(read[theirs], read[path], seed) if theirs != path else None,
            )
    return ExperimentTable(list(experiments), figures, cells)


def _cell(scores: Mapping[str, Any], path: Path, runs: Mapping[str, Path], **compared: Any) -> Cell:
    figure, adaptor = scores["figures"][0], scores.get("adaptor_run_id")
    run = read_json(runs[adaptor]) if adaptor in runs else {}
    samples = run.get("samples") or {}
    return Cell(
        id=figure["id"],
        value=figure["value"],
        interval=tuple(figure["ci95"]),
        n=figure["n"],
        unit=figure["unit"],
        run_id=Path(path).parent.name.rpartition("-")[2],
        adaptor_run_id=adaptor,
        scores=str(path),
        command=scores["command"],
        config=str(runs[adaptor]) if adaptor in runs else None,
        samples_sha256=samples.get("sha256"),
        samples=samples.get("path"),
        **compared,
    )
