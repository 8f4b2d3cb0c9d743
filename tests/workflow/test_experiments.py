"""`snakemake experiments` on a finished run of scale `tiny`: what rows share is there already, the rest runs once."""

import csv
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

NEW = "no_pretraining"


@pytest.fixture
def rows(project):
    """The configuration's experiments that the report waits for, and one more."""
    return project.keep_experiments(NEW)


def commands(module, *config):
    """The planned commands of a module, of all that `experiments` needs."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1"]
    command += ["--config", *config, "--", "experiments"]
    root = Path(__file__).resolve().parents[2]
    output = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return [line for line in output.splitlines() if f"-m {module} " in line]


@pytest.mark.parametrize(("scale", "warned"), [("tiny", True), ("mini", False)])
def test_the_table_warns_where_figures_mean_nothing_and_only_there(tmp_path, scale, warned):
    (line,) = commands("workflow_scripts.report.tabulate_experiments", f"scale={scale}", f"results={tmp_path}")
    words = shlex.split(line)
    assert ("--warning" in words) is warned
    assert not warned or "mean nothing" in words[words.index("--warning") + 1]


def test_a_row_that_answers_otherwise_is_answered_by_its_own_settings(tmp_path):
    rows = {"beams": {"in_report": False, "stages": ["pretrain"], "changes": {"predict": {"num_beams": 3}}}}
    config = ("scale=tiny", f"results={tmp_path}", f"experiments={json.dumps(rows)}")
    of_row = [line for line in commands("workflow_scripts.evaluation.predict", *config) if '"num_beams":3' in line]
    assert len(of_row) == 1
    assert "/visual_genome/before-" in of_row[0]


def test_every_row_of_the_configuration_is_planned(finished):
    config = yaml.safe_load((finished.folder / "config.yaml").read_text())
    planned = finished.planned("experiments")
    assert planned["tabulate_experiments"] == 1
    assert planned["train_adaptor"] >= sum(not row.get("in_report", True) for row in config["experiments"].values())


def test_a_new_experiment_trains_what_no_other_has_and_stands_in_the_table(project, rows):
    planned = project.planned("experiments")
    assert planned.pop("experiments") == planned.pop("tabulate_experiments") == 1
    assert planned.pop("import_experiments") == planned.pop("render_page_with_experiments") == 1
    assert planned == {"train_adaptor": 1, "predict": 2, "score": 2}
    project.snakemake("experiments")

    folder = project.folder / "results/tiny/experiments"
    with open(folder / "experiments.csv", newline="") as stream:
        table = {row.pop("label"): row for row in csv.DictReader(stream)}
    assert list(table) == rows
    names = ("exact match before finetuning", "exact match after finetuning", "OK-VQA accuracy, finetuned")
    before, after, okvqa = ({row: cells[name] for row, cells in table.items()} for name in names)
    assert before[NEW] == okvqa[NEW] == okvqa["report"] == ""
    assert re.fullmatch(r"\d+\.\d\*? \[\d+\.\d, \d+\.\d\]( [↑↓])?", after[NEW])
    assert after["okvqa"].endswith("] =")

    for name in ("index.html", "report.html"):
        page = (folder / name).read_text()
        links = set(re.findall(r'<a href="#([^"]+)">', page))
        assert links
        assert links <= set(re.findall(r'id="([^"]+)"', page))
        assert f"<td>{NEW.replace('_', ' ')}</td>" in page.split('<table class="experiments">')[1]
    assert "training-" in page
    of_report = (project.folder / "results/tiny/report/index.html").read_text()
    assert '<table class="experiments">' not in of_report
    assert "snakemake experiments" in of_report
    assert not project.planned("experiments")
