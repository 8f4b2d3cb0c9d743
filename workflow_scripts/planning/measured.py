"""What runs that are there have measured: throughput of trainings, seconds of rules."""

import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from workflow_scripts.command_line import read_json
from workflow_scripts.planning.machines import Machine
from workflow_scripts.tracking.recorder import read_lines


@dataclass(frozen=True)
class Training:
    """A training that ran on a kind of machine: its record and its throughput in samples a second."""

    folder: Path
    record: dict[str, Any]
    samples_per_second: float

    @property
    def processes(self) -> int:
        return self.record["environment"]["processes"]


def trainings(results: Path, machine: Machine) -> list[Training]:
    """Return the finished trainings of all scales below a folder of results that ran on such a machine."""
    found = []
    for path in sorted(results.glob("*/*/*/completed/run.json")):
        record = read_json(path)
        speed = throughput(path.parents[1])
        if speed and machine.is_that_of(record.get("environment", {})):
            found.append(Training(path.parents[1], record, speed))
    return found


def throughput(run_folder: Path) -> float | None:
    """Samples a second of a training, the median of its metrics' lines; the first line holds the warming up."""
    values = [line["samples_per_second"] for line in read_lines(run_folder / "metrics.jsonl") if "loss" in line]
    return median(values[1:] or values) if values else None


def steps_done(run_folder: Path) -> int:
    """How far a training came, by its last checkpoint."""
    steps = [int(path.name.removeprefix("step-")) for path in (run_folder / "checkpoints").glob("step-*")]
    return max(steps, default=0)


def seconds_of_rule(results: Path, rule: str, key: str | None = None) -> float | None:
    """Wall time of a rule's last run for a product (or of a rule without wildcards), as Snakemake measured it."""
    path = results / "benchmarks" / (f"{rule}/{key}.tsv" if key else f"{rule}.tsv")
    if not path.is_file():
        return None
    with open(path, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return float(rows[-1]["s"]) if rows else None


def ran_here(results: Path, machine: Machine) -> bool:
    """Whether a scale's results are of such a machine, by the records of its trainings."""
    records = [read_json(path) for path in results.glob("*/*/completed/run.json")]
    return bool(records) and all(machine.is_that_of(record.get("environment", {})) for record in records)
