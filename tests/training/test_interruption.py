"""Trainings as real processes that are killed, stopped and resumed."""

import os
import random
import signal
import time

import numpy as np
import psutil
import pytest
from killing import assert_equal, comparable, finish, kill_after_step, wait_for_step, workers_of

from workflow_scripts.tracking.recorder import read_lines

pytestmark = pytest.mark.slow
LONG = {"epochs": 14, "checkpoint_every": 7, "log_every": 2}


@pytest.mark.parametrize(("processes", "stage"), [(1, 0), (1, 2), (1, 3), (2, 0), (2, 2), (2, 3)])
def test_a_killed_training_ends_as_an_uninterrupted_one_bit_for_bit(trainer, tmp_path, processes, stage):
    settings = LONG | {"zero_stage": stage}
    options = {"processes": processes}
    reference = finish(trainer, tmp_path / "reference", settings, **options)
    generator = random.Random(processes * 10 + stage)
    folder = tmp_path / "killed"
    for kill in range(2):
        process = trainer.start(folder, settings, **options)
        kill_after_step(process, folder, generator.randint(10, 40) + 35 * kill, while_saving=kill == 1)
    finish(trainer, folder, settings, **options)
    assert_equal(folder, reference)
    ends = [line["reason"] for line in read_lines(folder / "history.jsonl") if line["event"] == "end"]
    assert ends == ["killed", "killed", "finished"]
    begins = [line["from_step"] for line in read_lines(folder / "history.jsonl") if line["event"] == "begin"]
    assert begins[1] > 0
    assert begins[2] >= begins[1]


SLOW_DISK = """
import os, time
fsync = os.fsync
def slow(descriptor):
    if "/checkpoints/.step-" in os.readlink(f"/proc/self/fd/{descriptor}"):
        time.sleep(600)
    fsync(descriptor)
os.fsync = slow
"""


def test_a_wall_time_shorter_than_one_checkpoint_is_an_error_after_two_attempts_and_nothing_is_lost(trainer, tmp_path):
    reference = finish(trainer, tmp_path / "reference", LONG)
    (tmp_path / "sitecustomize.py").write_text(SLOW_DISK)
    folder, slow = tmp_path / "run", {"environment": {"PYTHONPATH": str(tmp_path)}}
    for attempt in (1, 2):  # the scheduler kills each of them, as it does when the time is over
        process = trainer.start(folder, LONG, attempt=attempt, **slow)
        while [line["attempt"] for line in read_lines(folder / "history.jsonl")][-1:] != [attempt]:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        kill_after_step(process, folder, 1, while_saving=True)
    for attempt, said in ((3, "error: Two attempts in a row ended for being killed while saving"), (4, "not repeated")):
        code, output = trainer.command(folder, LONG, attempt=attempt, **slow)
        assert code == 1
        assert said in output
        assert "A wall time has to hold the start, a step, a checkpoint" in output
        assert "Traceback" not in output
    finish(trainer, folder, LONG)
    assert_equal(folder, reference)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_the_step_and_asks_to_be_resumed(trainer, tmp_path, number):
    folder = tmp_path / "run"
    settings = LONG | {"epochs": 300, "checkpoint_every": 100_000}
    process = trainer.start(folder, settings)
    while not read_lines(folder / "metrics.jsonl") and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert "run the same command again" in output
    last = read_lines(folder / "history.jsonl")[-1]
    assert last["reason"] == signal.Signals(number).name
    assert (folder / "checkpoints" / f"step-{last['to_step']:09d}").is_dir()


@pytest.mark.parametrize(("before", "after", "stage"), [(2, 1, 2), (1, 2, 2), (2, 1, 3), (2, 1, 0)])
def test_another_number_of_processes_goes_on_within_rounding(trainer, tmp_path, before, after, stage):
    import torch

    from workflow_scripts.models.adaptor import load_adaptor

    settings = LONG | {"zero_stage": stage, "epochs": 6}
    reference = finish(trainer, tmp_path / "reference", settings)
    folder = tmp_path / "run"
    process = trainer.start(folder, settings, processes=before)
    kill_after_step(process, folder, 16)
    code, output = trainer.command(folder, settings, processes=after)
    assert code == 0, output
    begins = [line for line in read_lines(folder / "history.jsonl") if line["event"] == "begin"]
    assert [line["world_size"] for line in begins] == [before, after]
    assert begins[1]["from_step"] >= 14
    ours, theirs = comparable(folder), comparable(reference)
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    np.testing.assert_allclose([line["loss"] for line in ours], [line["loss"] for line in theirs], rtol=1e-4)
    expected = load_adaptor(reference / "adaptor.safetensors").state_dict()
    for name, value in load_adaptor(folder / "adaptor.safetensors").state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)


def test_a_killed_torchrun_leaves_no_workers_behind_and_they_save(trainer, tmp_path):
    folder = tmp_path / "run"
    process = trainer.start(folder, LONG | {"epochs": 1000, "checkpoint_every": 100_000}, processes=2)
    wait_for_step(process, folder, 20)
    workers = workers_of(process)
    process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    last = read_lines(folder / "history.jsonl")[-1]
    assert last["reason"] == "SIGTERM"
    assert (folder / "checkpoints" / f"step-{last['to_step']:09d}").is_dir()


@pytest.mark.parametrize("while_saving", [False, True])
def test_a_training_that_loses_one_of_its_processes_asks_to_be_resumed_and_ends_equal(trainer, tmp_path, while_saving):
    reference = finish(trainer, tmp_path / "reference", LONG, processes=2)
    folder = tmp_path / "run"
    process = trainer.start(folder, LONG, processes=2)
    first, second = workers_of(process)
    other = first if first.environ()["RANK"] == "1" else second
    wait_for_step(process, folder, 20, while_saving)
    other.kill()
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "another process of this training is gone" in output
    assert not (folder / "failure.json").exists()
    finish(trainer, folder, LONG, processes=2, attempt=2)
    assert_equal(folder, reference)


def test_processes_that_would_be_aborted_on_their_way_out_end_well(trainer, tmp_path):
    # As threads of gloo do now and then, when they come back to an interpreter that is going down.
    abort = "import atexit, os\nif 'RANK' in os.environ:\n    atexit.register(os.abort)\n"
    (tmp_path / "sitecustomize.py").write_text(abort)
    environment = {"PYTHONPATH": str(tmp_path)}
    code, output = trainer.command(tmp_path / "run", {"zero_stage": 3}, processes=2, environment=environment)
    assert code == 0, output
    assert (tmp_path / "run" / "adaptor.safetensors").exists()


def test_a_batch_that_does_not_divide_among_the_processes_is_said_in_a_sentence(trainer, tmp_path):
    code, output = trainer.command(tmp_path / "run", {"batch_size": 7}, processes=2)
    assert code != 0
    assert "batch_size = 7 does not divide among 2 processes" in output


def test_a_tracking_server_that_is_down_does_not_touch_the_training_and_an_import_completes_it(trainer, tmp_path):
    from mlflow.tracking import MlflowClient

    from workflow_scripts.tracking.import_runs import import_runs

    folder = tmp_path / "results" / "pretrain" / "run"
    down = {"tracking_uri": "http://127.0.0.1:9", "environment": {"WORKFLOW_MIRROR_DELAY": "0"}}
    code, output = trainer.command(folder, LONG, experiment="tiny", **down)
    assert code == 0, output
    assert "an import completes it" in output
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert import_runs(tmp_path / "results", uri, "tiny") == 1
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    (run,) = client.search_runs([experiment], "tags.stage = 'pretrain'")
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")]
    assert steps == [line["step"] for line in comparable(folder)]
    assert run.info.status == "FINISHED"


def test_a_live_view_and_an_import_agree_on_one_run(trainer, tmp_path):
    from mlflow.tracking import MlflowClient

    from workflow_scripts.tracking.import_runs import import_runs

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    folder = tmp_path / "results" / "pretrain" / "run"
    options = {"tracking_uri": uri, "experiment": "tiny", "environment": {"WORKFLOW_MIRROR_DELAY": "0"}}
    process = trainer.start(folder, LONG | {"epochs": 100}, **options)
    kill_after_step(process, folder, 300)
    finish(trainer, folder, LONG | {"epochs": 100}, **options)
    import_runs(tmp_path / "results", uri, "tiny")
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    (run,) = client.search_runs([experiment], "tags.stage = 'pretrain'")
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "loss")]
    assert steps == [line["step"] for line in comparable(folder)]
