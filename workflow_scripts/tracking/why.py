"""Say in words why a file would be made again, or that it would not.

The reasons are Snakemake's own; where a training would get a new folder, it is also said what of its definition differs
from the one that is there.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.chain import chains
from workflow_scripts.command_line import read_json, run_command
from workflow_scripts.config.settings import Settings
from workflow_scripts.planning.plan import read_configuration
from workflow_scripts.product import Product
from workflow_scripts.tracking.compare import differences
from workflow_scripts.tracking.planned_jobs import PlannedJob, plan

_UPSTREAM = "Input files updated by another job"
_MISSING = "Missing output files"
_DIGEST = re.compile(r"'[0-9a-f]{16}'")
_CHANGED = re.compile(r"before: (?P<before>.*?) now: (?P<now>.*)$")


def explain(target: str, jobs: Sequence[PlannedJob], products: Mapping[str, Product], root: Path) -> str:
    """A paragraph for people: what would be made again, and what starts it.

    `products` are those of the configuration by the folder of each; `root` is what folders and files are relative to.
    """
    jobs = [job for job in jobs if job.outputs]
    if not jobs:
        return f"{target} is up to date: nothing would be made again."
    made = {file for job in jobs for file in job.outputs}
    start = "would be made again" if (root / target).exists() else "does not exist and would be made"
    others = len(jobs) - 1
    count = {0: "alone", 1: "with one job before it"}.get(others, f"with {others} jobs before it")
    lines = [f"{target} {start}, {count}. It starts here:", ""]
    roots: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[PlannedJob]] = {}
    for job in jobs:
        differs = tuple(_differences_of_definition(job, products, root))
        causes = tuple(_causes(job, made)) or (("its definition is new",) if differs else ())
        if causes:
            roots.setdefault((job.rule, causes, differs), []).append(job)
    for (rule, causes, differs), alike in roots.items():
        outputs = [file for job in alike for file in job.outputs]
        lines.append(f"- {rule} would make {_listed(outputs)}, because {' and '.join(causes)}.")
        lines += [f"    {line}" for line in differs]
    starting = [job for alike in roots.values() for job in alike]
    follows = list(dict.fromkeys(job.rule for job in jobs if job not in starting))
    if follows:
        lines += ["", f"What follows from it: {', '.join(follows)}."]
    return "\n".join(lines)


def _causes(job: PlannedJob, made: set[str]) -> Iterator[str]:
    """What starts a job, other than that a job before it runs."""
    upstream = any(file in made for file in job.inputs)
    for part in job.reason.split("; "):
        if part.startswith(_UPSTREAM) or not part:
            continue
        if part.startswith(_MISSING):
            if not upstream:
                yield "it is not there"
        elif part.startswith("Updated input files"):
            yield f"{_listed(part.partition(': ')[2].split(', '))} is newer and has another content"
        elif part.startswith("Params have changed"):
            yield _parameters(part, job.module)
        elif part.startswith("Set of input files has changed"):
            yield "it is made from other files than the last time"
        elif part.startswith("Code has changed"):
            yield "the command of its rule has changed"
        elif part.startswith("Software environment"):
            yield "the software environment of its rule has changed"
        elif part.startswith("Incomplete output files"):
            yield "the last attempt was cut off"
        else:
            yield f"Snakemake says: {part[0].lower()}{part[1:]}"


def _parameters(reason: str, module: str) -> str:
    match = _CHANGED.search(reason)
    if match is None:
        return "its parameters have changed"
    before, now = match["before"].strip(), match["now"].strip()
    if _DIGEST.fullmatch(before) and _DIGEST.fullmatch(now):
        return f"the code of {module or 'its module'}, or of what that imports from this project, has changed"
    settings = [_DIGEST.sub("", text).strip(", ") for text in (before, now)]
    also = f"; the code of {module} has changed as well" if _DIGEST.search(before) and module else ""
    return f"its parameters were {settings[0] or 'none'} and are {settings[1] or 'none'}{also}"


def _listed(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"


def _differences_of_definition(job: PlannedJob, products: Mapping[str, Product], root: Path) -> list[str]:
    """How a training's definition differs from that of the newest one of its name, if its own folder is not there."""
    folder = str(Path(job.outputs[0]).parent)
    product = products.get(folder)
    if product is None or (root / folder).exists():
        return []
    siblings = (root / folder).parent.glob(f"{product.name}-{'[0-9a-f]' * 12}/definition.json")
    newest = max(siblings, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return []
    rows = differences(read_json(newest)["identity"], _as_written(product.identity))
    return [f"{newest.parent.name} is there and differs:"] + [
        f"  {row.name}: {row.a or 'nothing'} there, {row.b or 'nothing'} asked for" for row in rows
    ]


def _as_written(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity as definition.json has it, lists in place of tuples."""
    return json.loads(json.dumps(identity))


def trainings(settings: Settings) -> dict[str, Product]:
    """The trainings that a configuration asks for, by their folders."""
    found = (run for chain in chains(settings).values() for run in chain.runs)
    return {f"{settings.results}/{settings.scale}/{run.path}": run for run in found}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", metavar="TARGET", help="a file that the workflow makes, or a rule such as all")
    parser.add_argument(
        "--config", nargs="*", default=[], metavar="KEY=VALUE", help="settings, as snakemake takes them"
    )
    arguments = parser.parse_args(argv)
    given = dict(item.partition("=")[::2] for item in arguments.config)
    root = Path(__file__).resolve().parents[2]
    results = given.get("results") or yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))["results"]
    parts = Path(arguments.target).parts
    if "scale" not in given and len(parts) > 2 and parts[0] == results:
        arguments.config.append(f"scale={parts[1]}")
    jobs = plan(arguments.target, arguments.config, root)
    print(explain(arguments.target, jobs, trainings(read_configuration(arguments.config, root)), root))


if __name__ == "__main__":
    run_command(main)
