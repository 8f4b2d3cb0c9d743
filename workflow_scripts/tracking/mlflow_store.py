"""Bring MLflow level with records: what is there already is not sent again, what is missing is."""

import fcntl
import json
import math
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlflow.entities import Dataset, DatasetInput, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy.exc import SQLAlchemyError

from workflow_scripts.tracking.records import Record

BATCH = 900  # MLflow takes at most 1,000 metrics in one call
FAILURES = (MlflowException, SQLAlchemyError, sqlite3.Error)
FILES = "mlflow-artifacts"
# Where MLflow keeps whole paths of artefacts.
_PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
KEY, SENT, STORED, ADAPTOR = "record", "metrics_sent", "artifacts_stored", "adaptor_run_id"
PARENT = "mlflow.parentRunId"
MODEL = "adaptor"
KIND = "mlflow.experimentKind"  # the UI opens on trainings, not on what it has for chat applications


class MlflowStore:
    """One experiment of an MLflow store, made if it is not there."""

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        with one_at_a_time(tracking_uri):  # two processes that create one database crash each other
            make_database(tracking_uri)
            if (path := sqlite_path(tracking_uri)) is not None:
                settle(path)
            self.name = experiment
            self.client = MlflowClient(tracking_uri=tracking_uri)
            found = self.client.get_experiment_by_name(experiment)
            if found is None:
                location = artifact_location(tracking_uri, experiment)
                self.experiment_id = self.client.create_experiment(
                    experiment, artifact_location=location, tags={KIND: "custom_model_development"}
                )
            else:
                self.experiment_id = found.experiment_id

    def bring_level(self, record: Record) -> str:
        """Create or complete the run of a record and return MLflow's id of it."""
        run = self._find(KEY, record.key) or self._create(record)
        identifier = run.info.run_id
        have = run.data.params
        params = [Param(key, value) for key, value in record.params.items() if key not in have]
        tags = {key: value for key, value in record.tags.items() if run.data.tags.get(key) != value}
        if run.info.run_name != record.name:
            self.client.update_run(identifier, name=record.name)
        if record.adaptor_run_id is not None and PARENT not in run.data.tags:
            tags[ADAPTOR] = record.adaptor_run_id
            parent = self._find("run_id", record.adaptor_run_id)
            if parent is not None:
                tags[PARENT] = parent.info.run_id
        if record.chain is not None and PARENT not in run.data.tags:
            chain = self._find(KEY, f"chain-{record.chain}")
            tags |= {PARENT: chain.info.run_id} if chain else {}
        if params or tags:
            self.client.log_batch(identifier, params=params, tags=[RunTag(*tag) for tag in tags.items()])
        self._send_metrics(identifier, record, json.loads(run.data.tags.get(SENT, "{}")))
        if record.data is not None and not run.inputs.dataset_inputs:
            self._link_data(identifier, *record.data)
        self._store_artifacts(run, record)
        if record.model is not None:
            self._register_model(identifier, record)
        if run.info.status != record.status:
            self._set_status(identifier, record)
        return identifier

    def remove_other(self, tag: str, value: str, key: str) -> None:
        """Delete the runs that have a tag's value and another key: records of files that were written anew since."""
        for run in self.client.search_runs([self.experiment_id], f"tags.`{tag}` = '{value}'"):
            if run.data.tags[KEY] != key:
                self.client.delete_run(run.info.run_id)

    def _find(self, tag: str, value: str) -> Run | None:
        runs = self.client.search_runs(
            [self.experiment_id], f"tags.`{tag}` = '{value}'", order_by=["attributes.start_time DESC"], max_results=1
        )
        return runs[0] if runs else None

    def _create(self, record: Record) -> Run:
        return self.client.create_run(
            self.experiment_id,
            start_time=_milliseconds(record.start),
            tags={**record.tags, KEY: record.key},
            run_name=record.name,
        )

    def _send_metrics(self, identifier: str, record: Record, sent: dict[str, int]) -> None:
        """Send lines behind the last step that was sent, kept for each kind of line (the key behind step and epoch)."""
        new = [line for line in record.lines if line["step"] > sent.get(_kind(line), -1)]
        size = max(1, BATCH // max(map(len, new), default=1))
        for start in range(0, len(new), size):
            lines = new[start : start + size]
            metrics = [
                Metric(key, float(value), _milliseconds(line["time"]), line["step"])
                for line in lines
                for key, value in line.items()
                if key not in ("step", "time") and isinstance(value, int | float) and math.isfinite(value)
            ]
            sent |= {_kind(line): line["step"] for line in lines}
            self.client.log_batch(identifier, metrics=metrics, tags=[RunTag(SENT, json.dumps(sent))])

    def _link_data(self, identifier: str, name: str, checksum: str, source: str) -> None:
        dataset = Dataset(name, checksum[:36], "local", json.dumps({"uri": source}))
        self.client.log_inputs(identifier, [DatasetInput(dataset, [])])

    def _store_artifacts(self, run: Run, record: Record) -> None:
        """Store files that are not there yet; the tag remembers the last fitting ones, too many would not fit in it."""
        identifier = run.info.run_id
        stored = json.loads(run.data.tags.get(STORED, "[]")) if _is_there(run.info.artifact_uri) else []
        new = {digest: path for digest, path in record.artifacts.items() if digest[:12] not in stored}
        for digest, path in new.items():
            self.client.log_artifact(identifier, str(path), record.folders.get(digest))
        if new:
            short = [digest[:12] for digest in record.artifacts]
            self.client.set_tag(identifier, STORED, json.dumps(short))

    def _register_model(self, identifier: str, record: Record) -> None:
        """A version of the registered model `adaptor-<experiment of MLflow>` for each finished training, once."""
        from workflow_scripts.tracking.adaptor_model import write_model

        name = f"adaptor-{self.name}"
        source = f"{self.client.get_run(identifier).info.artifact_uri}/{MODEL}"
        registered = bool(self.client.search_model_versions(f"name = '{name}' and run_id = '{identifier}'"))
        if registered and _is_there(source):
            return
        if not self.client.search_registered_models(f"name = '{name}'"):
            about = "Query output of the feature extractor to soft tokens of the language model."
            self.client.create_registered_model(name, description=about)
        with tempfile.TemporaryDirectory() as folder:
            write_model(record.model, Path(folder) / MODEL, identifier)
            self.client.log_artifacts(identifier, str(Path(folder) / MODEL), MODEL)
        if registered:
            return
        tags = {key: record.tags[key] for key in ("run_id", "stage", "experiment")}
        self.client.create_model_version(name, source, identifier, tags=tags, description=record.name)

    def _set_status(self, identifier: str, record: Record) -> None:
        if record.status in ("RUNNING", "SCHEDULED"):
            self.client.update_run(identifier, status=record.status)
        else:
            end = _milliseconds(record.end if record.end is not None else time.time())
            self.client.set_terminated(identifier, record.status, end)


def artifact_location(tracking_uri: str, experiment: str) -> str | None:
    """Where an experiment's artefacts go: beside a SQLite file; a server decides itself."""
    path = sqlite_path(tracking_uri)
    return f"{_files_of(path)}/{quote(experiment)}" if path is not None else None


def sqlite_path(tracking_uri: str) -> Path | None:
    """The file of a `sqlite:///` URI, None for another kind of URI."""
    return Path(tracking_uri.removeprefix("sqlite:///")) if tracking_uri.startswith("sqlite:///") else None


def settle(database: Path) -> None:
    """Let a SQLite file that was moved or copied name the artefacts beside it: MLflow keeps whole paths of them.

    The caller holds the store's lock, or is alone. Raises sqlite3.Error where it is damaged or cannot be written.
    """
    here = _files_of(database)
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, column in _PATHS:
            if table not in there:
                continue
            for row, path in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                before, ours, rest = (path or "").rpartition(f"/{FILES}/")
                # MLflow's own experiment has a folder in whichever one the database was made in.
                if (path or "").endswith("/mlruns/0") and table == "experiments":
                    before, ours, rest = "file:", "/", "Default"
                if ours and before.startswith(("file:", "/")) and path != f"{here}/{rest}":
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (f"{here}/{rest}", row))


def _files_of(database: Path) -> str:
    return (database.parent / FILES).absolute().as_uri()


def make_database(tracking_uri: str) -> None:
    """Make a SQLite store's tables under another name: a process killed meanwhile leaves no store half made.

    MLflow cannot open such a store, nor complete it. The caller holds the store's lock.
    """
    path = sqlite_path(tracking_uri)
    if path is None or path.exists():
        return
    partial = path.with_name(f".{path.name}.partial")
    for left in path.parent.glob(f"{partial.name}*"):  # SQLite's journal too
        left.unlink()
    MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
    os.replace(partial, path)


@contextmanager
def one_at_a_time(tracking_uri: str) -> Iterator[None]:
    """Hold a lock beside a SQLite store while its tables may be made; nothing for a server."""
    path = sqlite_path(tracking_uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_uri(tracking_uri: str) -> None:
    """Refuse URIs that MLflow no longer takes, with the way out."""
    if sqlite_path(tracking_uri) is None and "://" not in tracking_uri:
        raise ValueError(f"tracking.uri = {tracking_uri!r} is no URI; write sqlite:///results/mlflow.db or http://...")
    if tracking_uri.startswith("file:"):
        raise ValueError(f"tracking.uri = {tracking_uri!r}: MLflow refuses file stores; use sqlite:///...")


def _is_there(uri: str) -> bool:
    """Whether artefacts lie where they should, as far as that can be seen: a database may have been moved alone."""
    return not uri.startswith("file://") or Path(local_file_uri_to_path(uri)).is_dir()


def _kind(line: dict[str, Any]) -> str:
    return "validation" if "validation_loss" in line else "training"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
