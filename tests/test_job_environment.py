"""The environment that jobs inherit."""

import os
import sys
from pathlib import Path

from workflow_scripts.job_environment import prepare_job_environment


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
