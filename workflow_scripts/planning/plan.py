"""Print what a scale costs on a machine, stage by stage, before anything runs; and what does not fit."""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.command_line import run_command
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import Settings, load_settings
from workflow_scripts.planning.context import Context
from workflow_scripts.planning.estimate import Stage
from workflow_scripts.planning.machines import THIS_CPU, find_machine, load_machines
from workflow_scripts.planning.render import render, summary
from workflow_scripts.planning.stages import all_stages

ROOT = Path(__file__).resolve().parents[2]


def read_configuration(overrides: Sequence[str], root: Path = ROOT) -> Settings:
    """Read config.yaml with overrides as Snakemake's --config takes them: `key=value`, the value in YAML."""
    config: dict[str, Any] = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--config {text!r}: write key=value, as in scale=mini or finetune='{{epochs: 2}}'.")
        parsed = yaml.safe_load(value)
        both = isinstance(parsed, Mapping) and isinstance(config.get(key), Mapping)
        config[key] = merge(config[key], parsed) if both else parsed
    return load_settings(config, root / "scales")


def problems_of(context: Context, stages: Sequence[Stage]) -> list[str]:
    """Return what does not fit the machine, in sentences."""
    found = [problem for stage in stages for problem in stage.problems if stage.left]
    if context.machine.has_gpus:  # a job of one's own machine has all the time there is
        found += [problem for stage in stages for problem in stage.too_long(context.job_hours)]
    if not context.machine.has_gpus:
        needed = sum(stage.disk_bytes for stage in stages if stage.left)
        place = next(folder for folder in [context.results, *context.results.absolute().parents] if folder.is_dir())
        free = shutil.disk_usage(place).free
        if needed > free:
            found.append(f"{needed / 1e9:,.0f} GB of disk are needed in {place} and {free / 1e9:,.0f} GB are free.")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and print the plan, or with --check only what is to be known before a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    machines = ", ".join([*load_machines(), THIS_CPU])
    parser.add_argument("--machine", default=THIS_CPU, help=f"one of {machines}")
    parser.add_argument("--config", nargs="*", default=[], help="key=value, as Snakemake takes it: scale=mini ...")
    parser.add_argument("--job-hours", type=float, default=24.0, help="wall time of a job")
    parser.add_argument("--days", type=float, default=14.0, help="a plan above that many days is called too long")
    parser.add_argument("--check", action="store_true", help="one line and the problems, nothing else")
    arguments = parser.parse_args(argv)
    for name in ("job_hours", "days"):
        if getattr(arguments, name) <= 0:
            raise ValueError(f"--{name.replace('_', '-')} {getattr(arguments, name):g}: it must be above 0.")
    settings = read_configuration(arguments.config)
    context = Context(settings, find_machine(arguments.machine), arguments.job_hours)
    stages = all_stages(context)
    problems = problems_of(context, stages)
    lines = summary(context, stages, arguments.days)
    print("\n".join(lines if arguments.check else render(context, stages, lines)))
    for problem in problems:
        print(f"! {problem}")


if __name__ == "__main__":
    run_command(main)
