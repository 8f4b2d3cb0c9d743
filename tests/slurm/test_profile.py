"""What `snakemake --profile slurm` asks of a real cluster."""

import json
import re
import subprocess

import pytest
from slurm_project import assert_equal, lines, pretraining

pytestmark = pytest.mark.slurm
TWO_NODES = ("train_adaptor:nodes=2", 'train_adaptor:gres="gpu:1"', "train_adaptor:gpu=0")


def test_a_job_gets_the_resources_that_the_profile_and_the_command_line_give_it(cluster, fresh):
    resources = ["publish:gpu=1", "publish:slurm_partition=gpu", "publish:runtime=7", "publish:mem_mb=1234"]
    output = fresh.submit("--until", "publish", "--set-resources", *resources)
    number = re.search(r"SLURM jobid (\d+)", output).group(1)
    job = subprocess.run(["scontrol", "show", "job", number], text=True, capture_output=True, check=True).stdout
    assert "Partition=gpu" in job
    assert "TimeLimit=00:07:00" in job
    assert "MinMemoryNode=1234M" in job
    assert "TresPerJob=gres:gpu:1" in job


def test_an_error_of_a_training_is_met_once(cluster, project):
    wrong = {"pretrain": "{precision: fp16}"}
    project.submit(pretraining(**wrong), "--preemptible-retries", "2", succeeds=False, **wrong)
    folder = project.training("pretrain")
    assert "fp16" in json.loads((folder / "failure.json").read_text())["error"]
    (log,) = (project.folder / "results/tiny/logs/train_adaptor/pretrain").iterdir()
    assert "ended with an error and is not repeated" in log.read_text()


def test_two_nodes_train_together_as_the_processes_of_one_do(cluster, prepared, project, tmp_path):
    """Two pretended GPUs on one node, and one on each of two: a process for each, the same global batches."""
    here = prepared.copy(tmp_path / "here", "results", ".snakemake")
    here.run_here(pretraining(), "--set-resources", "train_adaptor:gpu=2")
    project.submit(pretraining(), "--set-resources", *TWO_NODES)
    folder = project.training("pretrain")
    (begin, end) = lines(folder / "history.jsonl")
    assert begin["world_size"] == 2
    assert end["reason"] == "finished"
    command = ["scontrol", "show", "job", begin["job_id"]]
    job = subprocess.run(command, text=True, capture_output=True, check=True).stdout
    assert "NumNodes=2" in job
    assert "TresPerNode=gres:gpu:1" in job
    assert_equal(folder, here.training("pretrain"))
