"""MLflow in trouble beside a real training: a server that is killed and comes back, a locked database, a full disk."""

import logging
import shutil
import signal
import sqlite3

import pytest
from killing import kill_all
from mlflow_server import Server, wait_for

from workflow_scripts.tracking.recorder import read_lines

pytestmark = pytest.mark.slow
NOBODY = -1  # no process has this id: a follower of it makes one attempt and ends


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """An initialised database, made once, since making its tables takes seconds."""
    from workflow_scripts.tracking.mlflow_store import MlflowStore

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowStore(f"sqlite:///{path}", "tiny")
    return path


def fill(folder):
    """Leave no byte free on the file system of a folder."""
    with open(folder / "filler", "wb", buffering=0) as stream:
        for size in (65536, 4096, 1):
            try:
                while stream.write(b"x" * size):
                    pass
            except OSError:
                continue
    assert shutil.disk_usage(folder).free == 0


def train_beside(trainer, results, uri):
    """Train with a store that does not work; the training must end as always, and soon."""
    from workflow_scripts.tracking import mirror_process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mirror_process, "DELAY_SECONDS", 0)
        patch.setattr(mirror_process, "PATIENCE_SECONDS", 1)
        folder = trainer.here(results / "pretrain" / "run", tracking_uri=uri, experiment="tiny")
    assert (folder / "adaptor.safetensors").exists()
    assert read_lines(folder / "history.jsonl")[-1]["reason"] == "finished"
    return folder


def follow_once(folder, uri):
    from workflow_scripts.tracking.mlflow_mirror import follow

    before = signal.getsignal(signal.SIGTERM)
    try:
        return follow(folder, uri, "tiny", NOBODY, 0.0)
    finally:
        signal.signal(signal.SIGTERM, before)


def the_run(uri):
    """The only training in the store, and the steps of its loss in the order they came."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    (run,) = client.search_runs([experiment], "tags.stage = 'pretrain'")
    return run, [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")]


def assert_complete(folder, uri, status="FINISHED"):
    run, steps = the_run(uri)
    assert steps == [line["step"] for line in read_lines(folder / "metrics.jsonl") if "loss" in line]
    assert run.info.status == status


def test_a_locked_database_waits_for_the_import(trainer, empty_database, tmp_path, caplog):
    from workflow_scripts.tracking.import_runs import import_runs

    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    holder = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with caplog.at_level(logging.WARNING):
            folder = train_beside(trainer, tmp_path / "results", uri)
            assert "an import completes it" in caplog.text
            assert not follow_once(folder, uri)
        assert "database is locked" in caplog.text
        with pytest.raises(ValueError, match=r"database is locked.*repeat the import"):
            import_runs(tmp_path / "results", uri, "tiny")
    finally:
        holder.close()
    assert follow_once(folder, uri)
    assert_complete(folder, uri)
    import_runs(tmp_path / "results", uri, "tiny")
    assert_complete(folder, uri)


def test_a_full_disk_of_the_store_waits_for_the_import(trainer, empty_database, small_disk, tmp_path, caplog):
    from workflow_scripts.tracking.import_runs import import_runs

    shutil.copy(empty_database, small_disk / "mlflow.db")
    uri = f"sqlite:///{small_disk / 'mlflow.db'}"
    fill(small_disk)
    with caplog.at_level(logging.WARNING):
        folder = train_beside(trainer, tmp_path / "results", uri)
        assert not follow_once(folder, uri)
    assert "MLflow is behind" in caplog.text
    with pytest.raises((ValueError, OSError), match=r"full|No space left"):
        import_runs(tmp_path / "results", uri, "tiny")
    (small_disk / "filler").unlink()
    import_runs(tmp_path / "results", uri, "tiny")
    assert_complete(folder, uri)
    with sqlite3.connect(small_disk / "mlflow.db") as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.fixture
def server(empty_database, tmp_path):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    server = Server(tmp_path)
    yield server
    server.kill()


def steps_at(uri):
    """The steps that a server has; none while there is no run."""
    try:
        return the_run(uri)[1]
    except ValueError:
        return []


def test_a_server_that_is_killed_and_comes_back_gets_every_step_once(trainer, empty_database, server, tmp_path):
    from workflow_scripts.tracking.import_runs import import_runs

    folder = tmp_path / "results" / "pretrain" / "run"
    metrics, log = folder / "metrics.jsonl", folder / "logs" / "mlflow.log"
    settings = {"epochs": 10_000, "checkpoint_every": 100_000, "log_every": 100}
    server.start()
    tracking = {"tracking_uri": server.uri, "experiment": "tiny", "environment": {"WORKFLOW_MIRROR_DELAY": "0"}}
    process = trainer.start(folder, settings, **tracking)

    def steps():
        assert process.poll() is None, process.communicate()[0]
        return steps_at(server.uri)

    try:
        wait_for(steps, 600, "the server got no metrics")
        server.kill()
        reached = read_lines(metrics)[-1]["step"]
        wait_for(lambda: "MLflow is behind" in log.read_text(), 600, "nobody noticed that the server is gone")
        wait_for(lambda: read_lines(metrics)[-1]["step"] > reached, 60, "the training does not go on")
        assert process.poll() is None
        server.start()
        wait_for(lambda: max(steps(), default=0) > reached, 600, "the server did not get what it missed")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 75, output
    finally:
        if process.poll() is None:
            kill_all(process)
    import_runs(tmp_path / "results", server.uri, "tiny")
    assert_complete(folder, server.uri, status="SCHEDULED")
    # From nothing: another store, from the run's own files.
    other = f"sqlite:///{tmp_path / 'other.db'}"
    shutil.copy(empty_database, tmp_path / "other.db")
    import_runs(tmp_path / "results", other, "tiny")
    assert_complete(folder, other, status="SCHEDULED")
