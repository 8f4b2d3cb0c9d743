import fcntl
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.identity import run_id, sha256_of_file
from workflow_scripts.tracking.import_runs import import_runs
from workflow_scripts.tracking.records import read_training

pytestmark = pytest.mark.slow  # importing MLflow and making its tables take ten seconds
ROOT = Path(__file__).resolve().parents[2]
IDENTITY = {"stage": "pretrain", "learning_rate": 0.1}


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def metrics(first, last):
    return [
        {"step": step, "epoch": step / 10, "loss": 1 / step, "lr": 0.1, "time": 100.0 + step}
        for step in range(first, last)
    ]


def make_training(results, identity=IDENTITY, steps=5, finished=True, stage="pretrain", began=100.0):
    folder = results / stage / f"report-{run_id(identity)}"
    definition = {
        "identity": identity,
        "settings": {"batch_size": 4, "learning_rate": 0.1},
        "samples": "5a" * 32,
        "features": [{"image_set": "set", "extractor": "xx", "manifest": "m"}],
        "language_model": "lm",
        "initial_adaptor": None,
        "code_digest": "cd",
    }
    write_json(folder / "definition.json", definition)
    history = [{"event": "begin", "attempt": 1, "from_step": 0, "time": began}]
    lines = metrics(1, steps + 1)
    if finished:
        history.append({"event": "end", "attempt": 1, "to_step": steps, "reason": "finished", "time": began + 100})
        lines.append({"step": steps, "epoch": 0.5, "validation_loss": 0.7, "time": 100.0 + steps})
        (folder / "completed").mkdir(exist_ok=True)
        write_adaptor(folder / "completed" / "adaptor.safetensors")
        run = {
            "run_id": run_id(identity),
            "name": "report",
            "stage": stage,
            "settings": {"batch_size": 4, "learning_rate": 0.1, "log_every": 1},
            "samples": {"count": 40, "sha256": "5a" * 32, "path": "results/mini/data/pairs-1/samples.parquet"},
            "trainable_parameters": 12,
            "git_revision": "abc123",
            "command": "python -m workflow_scripts.training.train_adaptor",
            "adaptor_sha256": sha256_of_file(folder / "completed" / "adaptor.safetensors"),
        }
        write_json(folder / "completed" / "run.json", run)
    write_lines(folder / "history.jsonl", history)
    write_lines(folder / "metrics.jsonl", lines)
    return folder


def write_adaptor(path):
    import torch

    from workflow_scripts.models.adaptor import build_adaptor, save_adaptor

    torch.manual_seed(0)
    save_adaptor(build_adaptor("linear", 6, 8), path)


def make_evaluation(results, value=45.0, adaptor_run_id=None, id="okvqa.accuracy.finetuned"):
    path = results / "evaluation" / "okvqa" / "finetuned-123" / "scores.json"
    figure = {"id": id, "value": value, "unit": "%", "n": 50, "ci95": [40.0, 50.0]}
    scores = {"benchmark": "okvqa", "id": id, "definition": "the official one"}
    scores |= {"figures": [figure], "inputs": {"predictions.jsonl": "ab"}, "adaptor_run_id": adaptor_run_id}
    write_json(path, scores)
    return path


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results" / "mini"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """An initialised database, made once, since making its tables takes seconds."""
    from workflow_scripts.tracking.mlflow_store import MlflowStore

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowStore(f"sqlite:///{path}", "other")
    return path


@pytest.fixture
def database(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def runs_of(database):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=database)
    experiment = client.get_experiment_by_name("mini")
    return client, client.search_runs([experiment.experiment_id], "tags.stage != 'chain'")


def history_of(client, run, key):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, key)]


def test_a_finished_training_becomes_one_run_with_all_that_it_was(results, database):
    folder = make_training(results)
    import_runs(results, database, "mini")
    client, (run,) = runs_of(database)
    assert run.data.tags["run_id"] == folder.name.removeprefix("report-")
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 100_000, 200_000)
    assert run.data.params["settings.batch_size"] == "4"
    assert run.data.params["samples_sha256"] == "5a" * 32
    assert run.data.tags["mlflow.source.git.commit"] == "abc123"
    assert history_of(client, run, "loss") == [(step, 1 / step) for step in range(1, 6)]
    assert history_of(client, run, "validation_loss") == [(5, 0.7)]
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["adaptor"]


def test_importing_twice_changes_nothing(results, database):
    make_training(results)
    make_evaluation(results)
    import_runs(results, database, "mini")
    client, before = runs_of(database)
    import_runs(results, database, "mini")
    _, after = runs_of(database)
    assert [run.to_dictionary() for run in after] == [run.to_dictionary() for run in before]
    assert all(len(history_of(client, run, "loss")) in (0, 5) for run in after)


def test_a_resumed_training_stays_one_run_without_repeated_steps(results, database):
    folder = make_training(results, steps=5, finished=False)
    import_runs(results, database, "mini")
    client, (run,) = runs_of(database)
    assert run.info.status == "KILLED"
    # The resumed attempt goes back to a checkpoint at step 3 and writes the same steps again, then more.
    write_lines(folder / "metrics.jsonl", metrics(1, 4) + metrics(4, 9))
    history = [{"event": "begin", "attempt": 1, "from_step": 0, "time": 100.0}]
    history += [{"event": "end", "attempt": 1, "to_step": 5, "reason": "killed", "time": 105.0}]
    history += [{"event": "begin", "attempt": 2, "from_step": 3, "time": 110.0}]
    history += [{"event": "end", "attempt": 2, "to_step": 8, "reason": "wall_time", "time": 120.0}]
    write_lines(folder / "history.jsonl", history)
    import_runs(results, database, "mini")
    client, (again,) = runs_of(database)
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "SCHEDULED")
    assert history_of(client, again, "loss") == [(step, 1 / step) for step in range(1, 9)]


def test_an_evaluation_hangs_on_the_training_whose_adaptor_it_scored(results, database):
    make_training(results)
    make_evaluation(results, adaptor_run_id=run_id(IDENTITY))
    import_runs(results, database, "mini")
    _, runs = runs_of(database)
    training = next(run for run in runs if run.data.tags["stage"] == "pretrain")
    evaluation = next(run for run in runs if run.data.tags["stage"] == "evaluation")
    assert evaluation.data.tags["mlflow.parentRunId"] == training.info.run_id
    assert evaluation.data.metrics["okvqa.accuracy.finetuned"] == 45.0
    assert evaluation.data.metrics["okvqa.accuracy.finetuned.ci95_low"] == 40.0


def test_trainings_hang_on_their_experiment_which_has_the_tables_and_figures(results, database):
    make_training(results)
    make_training(results, identity={"stage": "finetune"}, stage="finetune", began=300.0)
    for name in ("tables/okvqa.md", "tables/okvqa.csv", "figures/kinds.svg"):
        (results / "report" / name).parent.mkdir(parents=True, exist_ok=True)
        (results / "report" / name).write_text(name)
    import_runs(results, database, "mini")
    client, runs = runs_of(database)
    (chain,) = client.search_runs([runs[0].info.experiment_id], "tags.stage = 'chain'")
    assert (chain.info.run_name, chain.info.status) == ("experiment report", "FINISHED")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {chain.info.run_id}
    assert {run.info.run_name for run in runs} == {"pretraining", "finetuning"}
    assert [one.path for one in client.list_artifacts(chain.info.run_id)] == ["figures", "tables"]
    assert len(client.list_artifacts(chain.info.run_id, "tables")) == 2
    (results / "report" / "tables" / "okvqa.md").write_text("other figures")
    import_runs(results, database, "mini")
    stored = Path(client.download_artifacts(chain.info.run_id, "tables/okvqa.md", str(results)))
    assert stored.read_text() == "other figures"


def test_data_jobs_and_experiment_can_be_searched_for(results, database):
    folder = make_training(results)
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    write_lines(folder / "history.jsonl", [{**lines[0], "job_id": "17"}, {**lines[0], "job_id": "18"}, lines[1]])
    import_runs(results, database, "mini")
    _, (run,) = runs_of(database)
    wanted = {"experiment": "report", "stage": "pretrain", "scale": "mini", "data_manifest": "5a" * 32}
    wanted |= {"revision": "abc123", "slurm_job": "17, 18"}
    assert {name: run.data.tags.get(name) for name in wanted} == wanted
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("pairs-1", "5a" * 18)


def test_an_unfinished_training_has_the_revision_that_its_last_attempt_began_with(results):
    folder = make_training(results, finished=False)
    begin = {"event": "begin", "attempt": 1, "from_step": 0, "time": 100.0}
    write_lines(folder / "history.jsonl", [begin | {"git_revision": "old"}, begin | {"git_revision": "new"}])
    assert read_training(folder).tags["revision"] == "new"


def test_evaluations_are_searched_for_by_the_same_tags_as_trainings(results, database):
    make_training(results)
    path = make_evaluation(results, adaptor_run_id=run_id(IDENTITY))
    write_json(path, json.loads(path.read_text()) | {"git_revision": "abc9", "slurm_job": "21"})
    frozen = json.loads(path.read_text()) | {"benchmark": "coco_retrieval", "adaptor_run_id": None}
    write_json(results / "evaluation" / "coco_retrieval" / "clip-123" / "scores.json", frozen)
    import_runs(results, database, "mini")
    client, runs = runs_of(database)
    tagged = [run for run in runs if run.data.tags["stage"] == "evaluation"]
    wanted = {"experiment": "report", "stage": "evaluation", "scale": "mini", "data_manifest": "ab"}
    wanted |= {"revision": "abc9", "slurm_job": "21"}
    assert [{name: run.data.tags.get(name) for name in wanted} for run in tagged] == [wanted] * 2
    (chain,) = client.search_runs([runs[0].info.experiment_id], "tags.stage = 'chain'")
    assert (chain.data.tags["scale"], chain.data.tags["revision"]) == ("mini", "abc123")
    # What was scored without a training hangs on the experiment itself.
    of_frozen = next(run for run in tagged if "coco_retrieval" in run.data.tags["scores"])
    assert of_frozen.data.tags["mlflow.parentRunId"] == chain.info.run_id


def test_a_finished_adaptor_is_a_registered_model_that_loads_and_answers(results, database):
    import mlflow
    import numpy as np
    import torch

    from workflow_scripts.models.adaptor import load_adaptor

    folder = make_training(results)
    import_runs(results, database, "mini")
    import_runs(results, database, "mini")
    client, (run,) = runs_of(database)
    (version,) = client.search_model_versions("name = 'adaptor-mini'")
    assert version.run_id == run.info.run_id
    mlflow.set_tracking_uri(database)
    model = mlflow.pyfunc.load_model("models:/adaptor-mini/1")
    assert [one.shape for one in model.metadata.signature.inputs.inputs] == [(-1, -1, 6)]
    query_output = np.random.default_rng(0).random((2, 3, 6), dtype=np.float32)
    expected = load_adaptor(folder / "completed" / "adaptor.safetensors")(torch.from_numpy(query_output))
    found = model.predict({"query_output": query_output})
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-6)
    with pytest.raises(mlflow.exceptions.MlflowException, match="schema"):
        model.predict({"query_output": query_output[..., :5]})


def import_elsewhere(results, database):
    """Import in another process, since MLflow remembers where a run's artifacts were."""
    command = [sys.executable, "-m", "workflow_scripts.tracking.import_runs", "--results", str(results)]
    subprocess.run([*command, "--tracking-uri", database, "--experiment", "mini"], cwd=ROOT, check=True)


def files_in(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_in_a_project_that_was_copied_artifacts_lie_beside_the_copy_and_the_old_one_is_left_alone(tmp_path):
    import mlflow

    old, new = tmp_path / "old", tmp_path / "new"
    make_training(old / "results" / "mini")
    make_evaluation(old / "results" / "mini")
    import_elsewhere(old / "results" / "mini", f"sqlite:///{old}/results/mini/mlflow.db")
    shutil.copytree(old, new)
    before = files_in(old)
    make_evaluation(new / "results" / "mini", value=46.0)
    make_training(new / "results" / "mini", identity={"stage": "finetune"}, stage="finetune", began=300.0)
    database = f"sqlite:///{new}/results/mini/mlflow.db"
    import_runs(new / "results" / "mini", database, "mini")
    assert files_in(old) == before
    shutil.rmtree(old)
    assert str(old).encode() not in (new / "results/mini/mlflow.db").read_bytes()
    client, runs = runs_of(database)
    assert len(runs) == 3
    for run in runs:
        assert run.info.artifact_uri.startswith((new / "results/mini/mlflow-artifacts/mini").as_uri())
        assert client.list_artifacts(run.info.run_id)
    mlflow.set_tracking_uri(database)
    assert mlflow.pyfunc.load_model("models:/adaptor-mini/1")
    assert mlflow.pyfunc.load_model("models:/adaptor-mini/2")


def test_a_database_that_was_moved_without_its_artifacts_gets_them_again(tmp_path):
    import mlflow

    results = tmp_path / "mini"
    make_training(results)
    make_evaluation(results)
    import_elsewhere(results, f"sqlite:///{tmp_path}/one/mlflow.db")
    (tmp_path / "two").mkdir()
    shutil.move(tmp_path / "one/mlflow.db", tmp_path / "two/mlflow.db")
    shutil.rmtree(tmp_path / "one")
    database = f"sqlite:///{tmp_path}/two/mlflow.db"
    import_runs(results, database, "mini")
    client, runs = runs_of(database)
    assert [len(client.list_artifacts(run.info.run_id)) for run in runs] == [1, 1]
    assert len(client.search_model_versions("name = 'adaptor-mini'")) == 1
    mlflow.set_tracking_uri(database)
    assert mlflow.pyfunc.load_model("models:/adaptor-mini/1")
    assert not (tmp_path / "one").exists()


def test_a_training_that_is_not_finished_is_no_model(results, database):
    make_training(results, finished=False)
    import_runs(results, database, "mini")
    client, _ = runs_of(database)
    assert client.search_model_versions("name = 'adaptor-mini'") == []


def test_figures_of_experiments_are_named_as_mlflow_allows(results, database):
    make_evaluation(results, id="okvqa.accuracy.finetuned@clean")
    import_runs(results, database, "mini")
    _, (run,) = runs_of(database)
    assert run.data.metrics["okvqa.accuracy.finetuned:clean"] == 45.0
    assert run.data.params["n.okvqa.accuracy.finetuned:clean"] == "50"


def test_scores_that_were_computed_anew_replace_the_old_ones(results, database):
    make_evaluation(results, value=45.0)
    import_runs(results, database, "mini")
    make_evaluation(results, value=46.0)
    import_runs(results, database, "mini")
    _, (run,) = runs_of(database)
    assert run.data.metrics["okvqa.accuracy.finetuned"] == 46.0


def test_a_training_that_was_replaced_keeps_its_own_run(results, database):
    folder = make_training(results)
    import_runs(results, database, "mini")
    target = folder / "superseded" / "1"
    target.mkdir(parents=True)
    for name in ("definition.json", "history.jsonl", "metrics.jsonl", "completed"):
        shutil.move(folder / name, target / name)
    make_training(results, began=500.0)
    import_runs(results, database, "mini")
    _, runs = runs_of(database)
    assert sorted(run.info.run_name for run in runs) == ["pretraining", "pretraining (superseded)"]


def test_more_metrics_than_one_call_takes_all_arrive(results, database):
    make_training(results, steps=1500)
    import_runs(results, database, "mini")
    client, (run,) = runs_of(database)
    assert len(history_of(client, run, "loss")) == 1500


def size_of(path):
    """A file's size; SQLite's journal comes and goes."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_a_process_that_is_killed_while_it_makes_the_database_leaves_no_half_of_one(results):
    make_training(results)
    database = f"sqlite:///{results / 'mlflow.db'}"
    program = (
        "import sys; from workflow_scripts.tracking.mlflow_store import MlflowStore; MlflowStore(sys.argv[1], 'mini')"
    )
    process = subprocess.Popen([sys.executable, "-c", program, database], cwd=ROOT)
    deadline = time.monotonic() + 120
    # Whole, it has three times that.
    while not any(size_of(path) > 350_000 for path in results.glob("*mlflow.db*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert import_runs(results, database, "mini") == 1
    _, runs = runs_of(database)
    assert len(runs) == 1


def test_a_store_that_cannot_be_written_is_said_in_a_sentence(results, tmp_path):
    make_training(results)
    (tmp_path / "broken.db").write_bytes(b"no database" * 100)
    with pytest.raises(ValueError, match="repeat the import when it works again"):
        import_runs(results, f"sqlite:///{tmp_path / 'broken.db'}", "mini")
    with pytest.raises(ValueError, match="use sqlite"):
        import_runs(results, f"file://{tmp_path}", "mini")


def test_a_training_that_failed_and_one_that_is_held_read_as_such(results):
    folder = make_training(results, finished=False)
    begin = {"event": "begin", "attempt": 1, "from_step": 0, "time": 100.0}
    write_lines(folder / "history.jsonl", [begin])
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_training(folder).status == "RUNNING"
    assert read_training(folder).status == "KILLED"
    end = {"event": "end", "attempt": 1, "to_step": 3, "reason": "error", "time": 101.0}
    write_lines(folder / "history.jsonl", [begin, end])
    assert read_training(folder).status == "FAILED"
