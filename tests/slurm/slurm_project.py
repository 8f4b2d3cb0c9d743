"""The project in a folder of its own, as a user runs it, and what its trainings leave behind."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from workflow_scripts.chain import chains
from workflow_scripts.config.settings import load_settings
from workflow_scripts.planning.measured import seconds_of_rule

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("pretrain", "finetune", "finetune_okvqa", "finetune_refcoco")
# As a user submits, but for asking more often how the jobs are.
SUBMIT = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "3")
# Long enough to be cut in the middle by a job, a cancellation or a lost node.
LONG = {"pretrain": "{epochs: 200, warmup_epochs: 1, checkpoint_every: 400, wall_time_margin_seconds: 15}"}
COPIED = ("Snakefile", "config.yaml", "rules", "envs", "scales", "catalogue", "expected", "slurm", "workflow_scripts")


@dataclass
class Project:
    """A copy of the project in which Snakemake is run as a user runs it, with an empty home folder."""

    folder: Path

    def start(self, *arguments, **config):
        home = self.folder.with_name(f"{self.folder.name}-home")
        home.mkdir(exist_ok=True)
        settings = ["scale=tiny", *(f"{key}={value}" for key, value in config.items())]
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments, "--config", *settings],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(home)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments, succeeds=True, **config):
        process = self.start(*arguments, **config)
        output, _ = process.communicate(timeout=3600)
        assert (process.returncode == 0) is succeeds, output[-8000:]
        return output

    def run_here(self, *arguments, **config):
        return self.run("--cores", "2", *arguments, **config)

    def submit(self, *arguments, succeeds=True, **config):
        return self.run(*arguments, *SUBMIT, succeeds=succeeds, **config)

    def start_submission(self, *arguments, **config):
        return self.start(*arguments, *SUBMIT, **config)

    def training(self, stage):
        """The folder of the only training of a stage."""
        (folder,) = (self.folder / "results/tiny" / stage).iterdir()
        return folder

    def copy(self, folder, *names):
        for name in (*COPIED, *names):
            copy = shutil.copytree if (self.folder / name).is_dir() else shutil.copy2
            folder.mkdir(parents=True, exist_ok=True)
            copy(self.folder / name, folder / name)
        return Project(folder)


def pretraining(**config):
    """The record of the pretraining that a configuration asks for: a target for Snakemake."""
    file = yaml.safe_load((ROOT / "config.yaml").read_text())
    settings = {name: yaml.safe_load(value) for name, value in config.items()}
    found = chains(load_settings({**file, "scale": "tiny", **settings}, ROOT / "scales"))
    run = next(run for chain in found.values() for run in chain.runs if run.area == "pretrain")
    return f"results/tiny/{run.path}/run.json"


def lines(path):
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def losses(folder):
    return [(line["step"], line["loss"], line["lr"]) for line in lines(folder / "metrics.jsonl")]


def jobs_of(folder):
    """The SLURM job of each attempt."""
    return [line["job_id"] for line in lines(folder / "history.jsonl") if line["event"] == "begin"]


def ends_of(folder):
    return [line["reason"] for line in lines(folder / "history.jsonl") if line["event"] == "end"]


def long_for_jobs_of_a_minute(reference):
    """`LONG`, stopped so early that one job of a minute trains about half of it, or less, however fast this host is.

    Measured at the same training without a wall time: all of its seconds but those between begin and end are its start.
    """
    begin, end = lines(reference / "history.jsonl")
    training = end["time"] - begin["time"]
    start = seconds_of_rule(reference.parents[1], "train_adaptor", f"pretrain/{reference.name}") - training
    margin = max(15.0, 60 - start - training / 2)
    pretrain = {**yaml.safe_load(LONG["pretrain"]), "wall_time_margin_seconds": round(margin, 1)}
    return {"pretrain": json.dumps(pretrain)}


def assert_equal(folder, other):
    """Two trainings ended with the same weights, bit for bit, and the same losses on the way."""
    assert (folder / "adaptor.safetensors").read_bytes() == (other / "adaptor.safetensors").read_bytes()
    assert losses(folder) == losses(other)


def wait_for_step(process, folder, step, seconds=600):
    """Wait until a training that a process has submitted has recorded a step."""
    end = time.time() + seconds
    while time.time() < end and process.poll() is None:
        done = lines(folder / "metrics.jsonl")
        if done and done[-1]["step"] >= step:
            return
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"the training did not come to step {step}: {process.communicate()[0][-4000:]}")


def finish(process):
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output[-8000:]
    return output
