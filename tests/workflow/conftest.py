"""A finished run of the whole chain at scale `tiny`, in a copy of the project, and copies of that to change."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "config.yaml", "rules", "envs", "scales", "catalogue", "expected", "workflow_scripts")


@dataclass
class Project:
    """A copy of the project in which Snakemake is run as a user runs it."""

    folder: Path

    def snakemake(self, *arguments, succeeds=True, **config):
        settings = [f"{key}={value}" for key, value in {"scale": "tiny", **config}.items()]
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--config", *settings]
        done = subprocess.run(
            command, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500
        )
        if succeeds is not None:
            assert (done.returncode == 0) is succeeds, done.stdout[-8000:]
        return done.stdout

    def planned(self, *targets, **config):
        """The jobs that a dry run plans: how many of each rule."""
        return jobs_in(self.snakemake(*targets, "--dry-run", **config))

    def ran(self, *targets, **config):
        """The jobs that a real run ran: how many of each rule."""
        return jobs_in(self.snakemake(*targets, **config))

    def replace(self, path, old, new):
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new, 1))

    def keep_experiments(self, *names):
        """Leave the report's experiments and these, to keep a test short; returns the rows of config.yaml."""
        rows = {}
        for path in ("scales/tiny.yaml", "config.yaml"):
            file = self.folder / path
            content = yaml.safe_load(file.read_text())
            rows = content["experiments"]
            rows = {name: row for name, row in rows.items() if row.get("in_report", True) or name in names}
            file.write_text(yaml.safe_dump({**content, "experiments": rows}, sort_keys=False))
        return list(rows)


def jobs_in(output):
    if "Nothing to be done" in output:
        return Counter()
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, re.MULTILINE | re.DOTALL)
    assert table, output[-4000:]
    jobs = Counter({name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table.group(1), re.MULTILINE)})
    jobs.pop("all", None)
    return jobs


def copy_project(source, target, names=COPIED):
    target.mkdir(parents=True)
    for name in names:
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / name, target / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy2(source / name, target / name)
    return Project(target)


@pytest.fixture(scope="session")
def copy_of_project():
    """A function that copies the project, without results, to a folder."""
    return lambda folder: copy_project(ROOT, folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The project with the whole chain of scale `tiny` run in it; tests must not change it."""
    project = copy_project(ROOT, tmp_path_factory.mktemp("finished") / "project")
    project.snakemake()
    return project


@pytest.fixture
def untouched(tmp_path):
    """A copy of the project in which nothing has run."""
    return copy_project(ROOT, tmp_path / "project")


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project that a test may change."""
    return copy_project(finished.folder, tmp_path / "project", [*COPIED, "results", ".snakemake"])
