"""A SLURM cluster on this host for as long as the tests run, and the project to run on it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = Path(__file__).with_name("cluster.sh")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
COPIED = ("Snakefile", "config.yaml", "rules", "envs", "scales", "expected", "slurm", "workflow_scripts")


def why_there_is_no_cluster():
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed; `make slurm-test` installs SLURM on Debian"
    if os.geteuid() != 0:
        return "only root can start the test cluster"
    if Path("/etc/slurm/slurm.conf").exists():
        return "/etc/slurm/slurm.conf exists: this host belongs to a cluster"
    return None


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if reason := why_there_is_no_cluster():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("cluster")
    try:
        # To a file: the daemons would hold a pipe open.
        with open(folder.with_suffix(".log"), "w") as log:
            subprocess.run([CLUSTER, "up", folder], stdout=log, stderr=log, check=True, timeout=120)
        yield folder
    finally:
        subprocess.run([CLUSTER, "down", folder], check=True, timeout=120, stdout=subprocess.DEVNULL)


@dataclass
class Project:
    """A copy of the project in which Snakemake is run as a user runs it."""

    folder: Path

    def run(self, *arguments, succeeds=True, **config):
        settings = ["scale=tiny", *(f"{key}={value}" for key, value in config.items())]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, "--config", *settings],
            cwd=self.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=3600,
        )
        assert (done.returncode == 0) is succeeds, done.stdout[-8000:]
        return done.stdout

    def run_here(self, *arguments, **config):
        return self.run("--cores", "2", *arguments, **config)

    def submit(self, *arguments, succeeds=True, **config):
        return self.run("--profile", "slurm", *arguments, succeeds=succeeds, **config)

    def copy(self, folder, *names):
        for name in (*COPIED, *names):
            copy = shutil.copytree if (self.folder / name).is_dir() else shutil.copy2
            folder.mkdir(parents=True, exist_ok=True)
            copy(self.folder / name, folder / name)
        return Project(folder)


@pytest.fixture
def fresh(tmp_path):
    """The project as a fresh clone has it."""
    return Project(ROOT).copy(tmp_path / "project")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """The project with all that trainings at scale `tiny` read; tests must not change it."""
    project = Project(ROOT).copy(tmp_path_factory.mktemp("prepared") / "project")
    project.run_here("--until", "filter_pairs", "build_mix", "extract_features", "train_language_model")
    return project
