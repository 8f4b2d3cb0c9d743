"""The environment that jobs inherit."""

import os
import sys
from pathlib import Path

import pytest

from workflow_scripts.job_environment import prepare_job_environment


@pytest.fixture(autouse=True)
def the_environment_is_put_back():
    """What is tested writes into the environment, which monkeypatch does not see."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_jobs_find_the_python_of_snakemake_and_the_package_first_and_once(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", str(Path(sys.executable).parent), "/bin"]))
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    prepare_job_environment(tmp_path)
    prepare_job_environment(tmp_path)
    assert os.environ["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin", "/bin"]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), "/elsewhere"]


def test_no_empty_entry_lets_the_working_folder_in(monkeypatch, tmp_path):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    prepare_job_environment(tmp_path)
    assert os.environ["PYTHONPATH"] == str(tmp_path)


def test_a_slurm_job_knows_its_end(monkeypatch, tmp_path):
    squeue = tmp_path / "squeue"
    asked = '[ "$*" = "--noheader --jobs 17 --format %e" ]'
    squeue.write_text(f"#!/bin/sh\n{asked} && date --date=2026-01-02T03:04:05Z +$SLURM_TIME_FORMAT\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    prepare_job_environment(tmp_path)
    assert os.environ["SLURM_JOB_END_TIME"] == "1767323045"
