"""`snakemake --profile slurm` on a real cluster: this takes minutes."""

import hashlib
import json
import re
import subprocess

import pytest

pytestmark = pytest.mark.slurm

# More epochs than jobs of two minutes have time for, that stop 50 seconds before their end.
LONG = {"pretrain": "{epochs: 300, warmup_epochs: 1, checkpoint_every: 1000, wall_time_margin_seconds: 50}"}


def job_of(output):
    return re.search(r"SLURM jobid (\d+)", output).group(1)


def only_run(project, stage):
    (folder,) = (project.folder / "results/tiny" / stage).iterdir()
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(path):
    return [(line["step"], line["loss"], line["lr"]) for line in lines(path / "metrics.jsonl")]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_job_gets_the_resources_that_the_profile_and_the_command_line_give_it(cluster, fresh):
    resources = ["publish:gpu=1", "publish:slurm_partition=gpu", "publish:runtime=7", "publish:mem_mb=1234"]
    output = fresh.submit("--until", "publish", "--set-resources", *resources)
    job = subprocess.run(["scontrol", "show", "job", job_of(output)], text=True, capture_output=True, check=True).stdout
    assert "Partition=gpu" in job
    assert "TimeLimit=00:07:00" in job
    assert "MinMemoryNode=1234M" in job
    assert "TresPerJob=gres:gpu:1" in job


def test_a_training_cut_by_wall_times_takes_several_jobs_and_ends_as_one_that_was_not(cluster, prepared, tmp_path):
    whole = prepared.copy(tmp_path / "whole", "results", ".snakemake")
    cut = prepared.copy(tmp_path / "cut", "results", ".snakemake")
    whole.run_here("--until", "train_adaptor", **LONG)
    output = cut.submit("--until", "train_adaptor", "--set-resources", "train_adaptor:runtime=2", **LONG)
    assert "Trying to restart job" in output
    history = lines(only_run(cut, "pretrain") / "history.jsonl")
    jobs = [line["job_id"] for line in history if line["event"] == "begin"]
    ends = [line["reason"] for line in history if line["event"] == "end"]
    assert len(set(jobs)) == len(jobs) >= 2
    assert ends == ["wall_time"] * (len(jobs) - 1) + ["finished"]
    for stage in ("pretrain", "finetune", "finetune_okvqa", "finetune_refcoco"):
        assert sha256(only_run(cut, stage) / "adaptor.safetensors") == sha256(
            only_run(whole, stage) / "adaptor.safetensors"
        )
        assert losses(only_run(cut, stage)) == losses(only_run(whole, stage))


def test_an_error_of_a_training_is_met_once(cluster, prepared, tmp_path):
    project = prepared.copy(tmp_path / "project", "results", ".snakemake")
    wrong = {"pretrain": "{precision: fp16}"}
    project.submit("--until", "train_adaptor", "--preemptible-retries", "2", succeeds=False, **wrong)
    folder = only_run(project, "pretrain")
    assert "fp16" in json.loads((folder / "failure.json").read_text())["error"]
    (log,) = (project.folder / "results/tiny/logs/train_adaptor/pretrain").iterdir()
    assert "ended with an error and is not repeated" in log.read_text()


def test_the_whole_workflow_on_the_cluster_gives_the_figures_that_it_gives_here(cluster, fresh, tmp_path):
    here = fresh.copy(tmp_path / "here")
    here.run_here()
    fresh.submit()
    figures = [
        json.loads((project.folder / "results/tiny/report/results.json").read_text()) for project in (here, fresh)
    ]
    assert [figure["value"] for figure in figures[0]] == [figure["value"] for figure in figures[1]]
    assert "Nothing to be done" in fresh.submit()
