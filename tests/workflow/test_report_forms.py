"""What becomes of a finished run of scale `tiny`: the check of its figures, and Snakemake's own report."""

import json
import re

import pytest
import yaml

pytestmark = pytest.mark.slow
FIGURE = "visual_genome.exact_match.after"


def test_the_check_of_figures_ends_the_workflow_where_one_leaves_its_tolerance_and_only_there(project):
    results = json.loads((project.folder / "results/tiny/report/results.json").read_text())
    value = next(entry["value"] for entry in results if entry["id"] == FIGURE)
    file = project.folder / "expected/tiny.yaml"
    expected, checked = yaml.safe_load(file.read_text()), project.folder / "results/tiny/report/checked.txt"
    for given, inside in ((value + 0.5, True), (value + 1.5, False), (value - 1.5, False), (value - 0.5, True)):
        own = {"id": FIGURE, "value": given, "tolerance": 1.0, "source": "this test"}
        file.write_text(yaml.safe_dump({**expected, "figures": [own]}))
        output = project.snakemake("check_expected", succeeds=inside)
        assert f"{'inside' if inside else 'OUTSIDE'}  {FIGURE}" in re.sub(r"inside +", "inside  ", output)
        assert checked.exists() is inside


def test_snakemakes_own_report_holds_the_page_tables_and_figures_with_captions_and_labels(project):
    project.snakemake("--report", "report.html")
    html = (project.folder / "report.html").read_text()
    for part in ("whole report", "learning_curves", "exact_match", "retrieval", "Tables", "Figures"):
        assert part in html, part
    assert "drawn from the metrics of the trainings" in html
    assert "The whole report at scale" in html
