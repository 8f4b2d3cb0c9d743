"""Export a finished run as a Workflow Run RO-Crate: one zip file with the workflow, its settings and its results.

It follows the profiles Workflow Run Crate 0.5 and Workflow RO-Crate 1.0 over RO-Crate 1.1 (JSON-LD): the workflow, the
run as a whole, and each training with its command, times and what it learnt from. Weights and data sets stay outside;
their checksums are in it.
"""

import argparse
import csv
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, run_command, write_atomically
from workflow_scripts.files.walk import find_all
from workflow_scripts.report.names import run_name
from workflow_scripts.tracking.records import Record, find_trainings, read_training

METADATA = "ro-crate-metadata.json"
_PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_FORMATS = {".html": "text/html", ".json": "application/json", ".csv": "text/csv", ".yaml": "application/yaml"}
_FORMATS |= {".md": "text/markdown", ".svg": "image/svg+xml", ".pdf": "application/pdf", ".tex": "application/x-tex"}


def collect_files(root: Path, results: Path) -> dict[str, Path]:
    """The files of the crate by their path in it: workflow, settings, report, records of the trainings.

    ValueError where the run has no report yet.
    """
    if not (results / "report" / "index.html").is_file():
        raise ValueError(f"{results} has no report yet, so there is no finished run to export; run the workflow first.")
    code = [root / "Snakefile", root / "config.yaml", root / "LICENSE", root / "envs" / "requirements.lock"]
    code += [*root.glob("rules/*.smk"), *root.glob("catalogue/*.yaml"), root / "scales" / f"{results.name}.yaml"]
    files = {path.relative_to(root).as_posix(): path for path in sorted(code) if path.is_file()}
    report = [results / "report" / name for name in ("index.html", "report.pdf", "results.json")]
    report += [*results.glob("report/tables/*"), *results.glob("report/figures/*")]
    for path in sorted([*report, *results.glob("*/*/run.json")]):
        if path.is_file():
            files[f"results/{path.relative_to(results).as_posix()}"] = path
    return files


def describe(files: Mapping[str, Path], results: Path) -> dict[str, Any]:
    """The crate's metadata as JSON-LD, over the files that `collect_files` found."""
    records = {record.tags["run_id"]: record for record in map(read_training, find_trainings(results))}
    trainings = [name for name in files if name.endswith("/run.json")]
    start, end = _times(results, records.values())
    outcomes = [name for name in files if name.startswith("results/") and name not in trainings]
    given = [name for name in files if name in ("config.yaml", f"scales/{results.name}.yaml")]
    given += [name for name in files if name.startswith("catalogue/")]
    actions = [_training(name, files[name], records) for name in trainings]
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of the workflow at scale {results.name}",
        "instrument": _link("Snakefile"),
        "object": [_link(name) for name in given],
        "result": [_link(name) for name in outcomes],
        "startTime": start,
        "endTime": end,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    name = f"Image search with natural-language queries: the reproduction, scale {results.name}"
    dataset = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": "The workflow, its settings, its report, and the record of each training.",
        "datePublished": end[:10],
        "license": _link("LICENSE"),
        "conformsTo": [_link(profile) for profile in _PROFILES],
        "hasPart": [_link(part) for part in files],
        "mainEntity": _link("Snakefile"),
        "mentions": [_link("#run"), *(_link(action["@id"]) for action in actions)],
    }
    descriptor = {"@id": METADATA, "@type": "CreativeWork", "about": _link("./")}
    descriptor["conformsTo"] = [_link("https://w3id.org/ro/crate/1.1"), _link(_PROFILES[2])]
    profiles = [{"@id": one, "@type": "CreativeWork", "name": one.split("/ro/")[-1]} for one in _PROFILES]
    graph = [descriptor, dataset, *profiles, *_software(), run, *actions, *_data_of(actions)]
    for action in actions:
        action.pop("_data")
    graph += [_file(path, source) for path, source in files.items()]
    return {"@context": _CONTEXT, "@graph": graph}


def _training(name: str, path: Path, records: Mapping[str, Record]) -> dict[str, Any]:
    run = read_json(path)
    record = records.get(run["run_id"])
    samples = {"@id": f"#samples-{run['samples']['sha256'][:12]}", "@type": "PropertyValue", "name": "samples, sha256"}
    action = {
        "@id": f"#training-{run['run_id']}",
        "@type": "CreateAction",
        "name": f"Training: {run_name(run)}",
        "description": str(run.get("command") or ""),
        "instrument": _link("#train_adaptor"),
        "object": _link(samples["@id"]),
        "result": _link(name),
        "_data": samples | {"value": run["samples"]["sha256"]},
    }
    if record is not None:
        action["startTime"] = _iso(record.start)
        action |= {"endTime": _iso(record.end)} if record.end is not None else {}
    return action


def _data_of(actions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The samples of all trainings, each once."""
    return list({action["_data"]["@id"]: action["_data"] for action in actions}.values())


def _software() -> list[dict[str, Any]]:
    language = {"@id": "#snakemake", "@type": "ComputerLanguage", "name": "Snakemake", "version": version("snakemake")}
    language |= {"identifier": _link("https://snakemake.github.io"), "url": _link("https://snakemake.github.io")}
    trainer = {"@id": "#train_adaptor", "@type": "SoftwareApplication"}
    return [language, trainer | {"name": "workflow_scripts.training.train_adaptor"}]


def _file(path: str, source: Path) -> dict[str, Any]:
    entity: dict[str, Any] = {"@id": path, "@type": "File", "name": path, "contentSize": str(source.stat().st_size)}
    if source.suffix in _FORMATS:
        entity["encodingFormat"] = _FORMATS[source.suffix]
    if path == "Snakefile":
        entity["@type"] = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
        entity |= {"name": "The workflow", "programmingLanguage": _link("#snakemake")}
    return entity


def _times(results: Path, records: Iterable[Record]) -> tuple[str, str]:
    """When the first job that is recorded began, and when the report was written."""
    begins = [record.start for record in records]
    for path in find_all(results / "benchmarks", "*.tsv"):
        with open(path, encoding="utf-8", newline="") as stream:
            seconds = [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
        begins.append(path.stat().st_mtime - sum(seconds))
    end = (results / "report" / "index.html").stat().st_mtime
    return _iso(min(begins, default=end)), _iso(end)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _link(id: str) -> dict[str, str]:
    return {"@id": id}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results of a scale, such as results/mini")
    parser.add_argument("--output", type=Path, required=True, help="zip file to write, such as mini.crate.zip")
    arguments = parser.parse_args(argv)
    files = collect_files(Path(__file__).resolve().parents[2], arguments.results)
    metadata = describe(files, arguments.results)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(METADATA, json.dumps(metadata, indent=1, ensure_ascii=False) + "\n")
        for name, path in files.items():
            archive.write(path, name)
    write_atomically(arguments.output, buffer.getvalue())
    print(f"{len(files)} files in {arguments.output} ({len(buffer.getvalue()) / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_command(main)
