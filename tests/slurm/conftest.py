"""A SLURM cluster on this host for as long as the tests run, and the project to run on it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from slurm_project import LONG, ROOT, Project, pretraining

CLUSTER = Path(__file__).with_name("cluster.sh")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")


def why_there_is_no_cluster():
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed; `make slurm-test` installs SLURM on Debian"
    if os.geteuid() != 0:
        return "only root can start the test cluster"
    configuration = Path("/etc/slurm/slurm.conf")
    if configuration.exists() and configuration.resolve().name != "test-cluster.conf":
        return "/etc/slurm/slurm.conf exists: this host belongs to a cluster"
    return None


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if reason := why_there_is_no_cluster():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("cluster")
    # Whoever ends the tests, as for taking too long, shall not leave the cluster behind.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("the tests were asked to end"))
    try:
        # To a file: the daemons would hold a pipe open.
        with open(folder.with_suffix(".log"), "w") as log:
            subprocess.run([CLUSTER, "up", folder, str(os.getpid())], stdout=log, stderr=log, check=True)
        yield folder
    finally:
        subprocess.run([CLUSTER, "down", folder], check=True, timeout=120, stdout=subprocess.DEVNULL)


@pytest.fixture
def fresh(tmp_path):
    """The project as a fresh clone has it."""
    return Project(ROOT).copy(tmp_path / "project")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """The project with all that a pretraining at scale `tiny` reads; tests must not change it."""
    project = Project(ROOT).copy(tmp_path_factory.mktemp("prepared") / "project")
    project.run_here(pretraining(), "--omit-from", "train_adaptor")
    return project


@pytest.fixture(scope="session")
def reference(prepared, tmp_path_factory):
    """Folder of a long pretraining on this host alone, uninterrupted; tests must not change it."""
    project = prepared.copy(tmp_path_factory.mktemp("reference") / "project", "results", ".snakemake")
    project.run_here(pretraining(**LONG), **LONG)
    return project.training("pretrain")


@pytest.fixture
def project(prepared, tmp_path):
    """A copy of `prepared` to train in."""
    return prepared.copy(tmp_path / "project", "results", ".snakemake")
