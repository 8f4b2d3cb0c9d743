"""How many processes a training is started with, and by which program."""

import os
import subprocess
import sys

import pytest

from workflow_scripts.training import launch
from workflow_scripts.training.launch import main, processes_per_node, torchrun


@pytest.mark.parametrize(
    ("nodes", "gpu", "gres", "batch_size", "processes"),
    [
        (1, 0, "", 192, 1),
        (1, 1, "", 192, 1),
        (1, 8, "", 192, 8),
        (2, 8, "", 192, 4),
        (2, 0, "", 192, 1),
        (2, 0, "gpu:4", 192, 4),
        (2, 0, "gpu:4", 12, 3),
        (4, 0, "gpu:a100:2", 192, 2),
        (1, 0, "gpu", 192, 1),
    ],
)
def test_a_node_gets_a_process_for_each_of_its_gpus_that_a_batch_divides_among(nodes, gpu, gres, batch_size, processes):
    assert processes_per_node(nodes, gpu, gres, batch_size) == processes


def test_gpus_that_do_not_divide_among_nodes_or_are_none_are_said_in_a_sentence():
    with pytest.raises(ValueError, match=r"gpu = 3 GPUs do not divide among 2 nodes; write gres"):
        processes_per_node(2, 3, "", 12)
    with pytest.raises(ValueError, match=r"gres = 'tmpfs:4' names no GPUs"):
        processes_per_node(1, 0, "tmpfs:4", 12)
    with pytest.raises(ValueError, match=r"batch_size = 12 does not divide among 5 nodes; set nodes to a divisor"):
        main(["--nodes", "5", "--gres", "gpu:1", "--batch-size", "12", "--", "--run-folder", "x"])


def test_one_process_needs_no_torchrun_and_one_node_no_meeting_point():
    training = ["--run-folder", "x"]
    assert torchrun(1, 1, 0, "", training) == [sys.executable, "-m", launch.TRAINING, *training]
    assert "--standalone" in torchrun(1, 2, 0, "", training)
    several = torchrun(2, 4, 1, "10.0.0.1:20007", training)
    assert {"--nnodes=2", "--node-rank=1", "--nproc-per-node=4", "--master-addr=10.0.0.1"} < set(several)


def test_several_nodes_outside_of_a_job_are_an_error(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(ValueError, match="inside a SLURM job only"):
        main(["--nodes", "2", "--batch-size", "8", "--", "--run-folder", "x"])


def test_the_training_takes_the_place_of_the_program_that_started_it(tmp_path):
    """One process from the rule's shell to the training: a signal to it reaches the training."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'workflow_scripts.training.train_adaptor' in sys.orig_argv:\n"
        "    print(os.getpid(), sys.orig_argv[3:]), sys.stdout.flush(), os._exit(0)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "workflow_scripts.training.launch", "--batch-size=8", "--", "--run-folder", "x"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    output, _ = process.communicate(timeout=60)
    assert output.strip() == f"{process.pid} ['--run-folder', 'x']"
