"""What the files of a training or an evaluation say, in the terms of MLflow: parameters, tags, metrics, status."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json
from workflow_scripts.config.settings import REPORT
from workflow_scripts.files.walk import find_all
from workflow_scripts.identity import run_id, sha256_of_file
from workflow_scripts.report.names import figure_name, run_name
from workflow_scripts.tracking.recorder import read_lines

# How the end of an attempt reads in MLflow; a stopped training waits to be resumed.
STATUS = {"finished": "FINISHED", "error": "FAILED", "killed": "KILLED"}


@dataclass(frozen=True)
class Record:
    """One run of MLflow: `key` finds it again, `adaptor_run_id` names the training that an evaluation is about.

    `artifacts` are files by their checksum, each put into the folder that `folders` names for it, if any; `model` is a
    finished adaptor; `data` are the samples or questions that it is of: name, checksum, where they come from.
    """

    key: str
    name: str
    status: str
    start: float
    end: float | None
    params: dict[str, str]
    tags: dict[str, str]
    lines: list[dict[str, Any]]
    artifacts: dict[str, Path] = field(default_factory=dict)
    adaptor_run_id: str | None = None
    chain: str | None = None
    folders: dict[str, str] = field(default_factory=dict)
    model: Path | None = None
    data: tuple[str, str, str] | None = None


def find_trainings(results: Path) -> list[Path]:
    """Return the folders of all trainings of a scale, those that newer ones replaced included."""
    definitions = [*results.glob("*/*/definition.json"), *results.glob("*/*/superseded/*/definition.json")]
    folders = [path.parent for path in definitions if (path.parent / "history.jsonl").exists()]
    return sorted(folders, key=lambda folder: read_lines(folder / "history.jsonl")[0]["time"])


def find_evaluations(results: Path) -> list[Path]:
    """Return the files of scores of a scale."""
    return find_all(results / "evaluation", "scores*.json")


def read_training(folder: Path) -> Record:
    """Read the record of a training from its folder, finished or not."""
    definition = read_json(folder / "definition.json")
    history = read_lines(folder / "history.jsonl")
    if not history:
        raise ValueError(f"{folder} has no history; the training in it has not begun.")
    completed = folder / "completed"
    run = read_json(completed / "run.json") if (completed / "run.json").exists() else {}
    identifier = run_id(definition["identity"])
    last = history[-1]
    status = "RUNNING" if last["event"] == "begin" and _is_held(folder) else "KILLED"
    if last["event"] == "end":
        status = STATUS.get(last["reason"], "SCHEDULED")
    superseded = folder.parent.name == "superseded"
    name = run.get("name") or (folder.parent.parent if superseded else folder).name.removesuffix(f"-{identifier}")
    stage = run.get("stage") or (folder.parents[2] if superseded else folder.parent).name
    params = dict(flatten({"settings": run.get("settings") or definition["settings"]}))
    params |= {
        "samples_sha256": definition["samples"],
        "language_model": definition["language_model"],
        "initial_adaptor": str(definition["initial_adaptor"]),
        "feature_extractor": definition["features"][0]["extractor"],
    }
    tags = {"run_id": identifier, "stage": stage, "attempts": str(max(line["attempt"] for line in history))}
    tags["code_digest"] = definition["code_digest"]
    jobs = dict.fromkeys(str(line["job_id"]) for line in history if line.get("job_id"))
    revisions = [line["git_revision"] for line in history if line.get("git_revision")]
    tags |= {"experiment": name, "scale": _scale_of(folder.parents[3 if superseded else 1])}
    tags |= _tags(definition["samples"], run.get("git_revision") or (revisions or [None])[-1], ", ".join(jobs))
    data = None
    if run:
        params |= {"samples": str(run["samples"]["count"]), "trainable_parameters": str(run["trainable_parameters"])}
        tags["command"] = run["command"]
        source = run["samples"].get("path", "")
        data = (Path(source).parent.name or stage, definition["samples"], source)
    if superseded:
        tags["superseded"] = "true"
    return Record(
        key=f"{identifier}-{history[0]['time']:.3f}",
        name=f"{run_name({'stage': stage, 'name': name})}{' (superseded)' if superseded else ''}",
        status=status,
        start=history[0]["time"],
        end=last["time"] if last["event"] == "end" else None,
        params=params,
        tags=tags,
        lines=read_lines(folder / "metrics.jsonl"),
        chain=name,
        model=completed / "adaptor.safetensors" if run else None,
        data=data,
    )


def read_chain(name: str, trainings: Sequence[Record], report: Path | None) -> Record:
    """The record of an experiment over its trainings, with tables and figures where the report's folder is given.

    A training that several experiments share hangs on the first of them.
    """
    ends = [training.end for training in trainings]
    states = {training.status for training in trainings}
    files = [*sorted(report.glob("tables/*.*")), *sorted(report.glob("figures/*.svg"))] if report else []
    checksums = {sha256_of_file(path): path for path in files}
    return Record(
        key=f"chain-{name}",
        name=f"experiment {name}",
        status="FINISHED" if states == {"FINISHED"} else "RUNNING" if "RUNNING" in states else "FAILED",
        start=min(training.start for training in trainings),
        end=max((end for end in ends if end is not None), default=None),
        params={},
        tags={"stage": "chain", "experiment": name, "scale": trainings[0].tags["scale"]}
        | _tags("", trainings[-1].tags.get("revision"), ""),
        lines=[],
        artifacts=checksums,
        folders={checksum: path.parent.name for checksum, path in checksums.items()},
    )


def read_evaluation(path: Path, results: Path, experiments: Mapping[str, str] | None = None) -> Record:
    """Read the record of an evaluation from its file of scores; `experiments` are those of the trainings by their ids.

    What no training was evaluated for, as retrieval by the frozen models, belongs to the report's system as described.
    """
    scores = read_json(path)
    inputs = scores.get("inputs") or {}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    place = path.relative_to(results).as_posix()
    line: dict[str, Any] = {"step": 0, "time": path.stat().st_mtime}
    # MLflow allows no @ in names, which stands before the experiment in ids of figures.
    figures = {figure["id"].replace("@", ":"): figure for figure in scores["figures"]}
    for name, figure in figures.items():
        line[name] = figure["value"]
        if figure.get("ci95"):
            line[f"{name}.ci95_low"], line[f"{name}.ci95_high"] = figure["ci95"]
    params = {"benchmark": str(scores["benchmark"]), "definition": str(scores.get("definition", ""))[:5000]}
    params |= {f"n.{name}": str(figure["n"]) for name, figure in figures.items()}
    params |= {f"input.{Path(name).name}"[:250]: value for name, value in inputs.items()}
    adaptor = scores.get("adaptor_run_id")
    experiment = REPORT if adaptor is None else (experiments or {}).get(adaptor)
    tags = {"stage": "evaluation", "scores": place, "scale": _scale_of(results)}
    tags |= {"experiment": experiment} if experiment else {}
    tags |= _tags(next(iter(inputs.values()), ""), scores.get("git_revision"), scores.get("slurm_job"))
    return Record(
        key=f"{place}-{digest[:12]}",
        name=f"evaluation: {figure_name(next((one['id'] for one in scores['figures']), scores['id']))}",
        status="FINISHED",
        start=line["time"],
        end=line["time"],
        params=params,
        tags=tags,
        lines=[line],
        artifacts={digest: path},
        adaptor_run_id=adaptor,
        chain=REPORT if adaptor is None else None,
        data=next(((str(scores["benchmark"]), sum_, name) for name, sum_ in inputs.items()), None),
    )


def _tags(data: str, revision: str | None, jobs: str | None) -> dict[str, str]:
    """What runs are searched by, as far as it is known: the data's checksum in their manifest, commit, SLURM's jobs."""
    found = {"data_manifest": data, "revision": revision, "mlflow.source.git.commit": revision, "slurm_job": jobs}
    return {name: value for name, value in found.items() if value}


def _scale_of(results: Path) -> str:
    return Path(os.path.abspath(results)).name  # not that of what a link leads to


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as pairs of a dotted key and a text."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _is_held(folder: Path) -> bool:
    """Whether a training is at work in a folder now."""
    if not (folder / ".lock").exists():
        return False
    with open(folder / ".lock") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
