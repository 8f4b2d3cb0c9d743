"""A figure of a single image has no interval: it is shown without one, and judged where it can be."""

import json
from pathlib import Path

from workflow_scripts.report import render_cards
from workflow_scripts.report.collect_results import collect, read_scores
from workflow_scripts.report.expected import ReportedFigures, Requirement, ScaleExpectations, judge, read_expected
from workflow_scripts.report.render_figures import draw_exact_match
from workflow_scripts.report.tabulate_experiments import main as tabulate

ID = "visual_genome.exact_match.after"
REPORTED = read_expected(Path("expected/report.yaml"), ReportedFigures)
FIGURE = {"id": ID, "value": 100.0, "unit": "%", "n": 1, "ci95": None}


def write(folder, **more):
    folder.mkdir(parents=True)
    content = {"id": ID, "figures": [FIGURE], "breakdown": {}, "command": "python -m x"} | more
    (folder / "scores.json").write_text(json.dumps(content))
    return folder / "scores.json"


def test_it_is_collected_drawn_and_told_in_the_card(tmp_path):
    scores = read_scores([write(tmp_path / "a")])
    (entry,) = collect(scores, REPORTED)
    assert entry["ci95"] is None
    assert draw_exact_match(scores) is not None
    assert "100.00 %" in render_cards.model_card("tiny", "", [], [entry])


def test_it_is_judged_by_its_value_alone():
    other = dict(FIGURE, id="b", ci95=[0.0, 1.0])
    results = {ID: FIGURE, "b": other}
    requirement = Requirement(figure=ID, level="must", interval_above="b")
    assert requirement.check(results, {}) == ("no interval", None)
    scale = ScaleExpectations(comparable_with_report=True, figures=[], requirements=[])
    reported = next(one for one in REPORTED.figures if one.id == ID)
    assert judge(ID, results, {}, scale, reported).text == "no interval"


def test_two_experiments_of_one_image_stand_beside_each_other_without_an_arrow(tmp_path):
    questions = {"per_question": {"q0": 100.0}, "image_of_question": {"q0": "s/0"}}
    paths = {label: {ID: str(write(tmp_path / label, **questions))} for label in ("report", "mlp")}
    tabulate(["--experiments", json.dumps(paths), "--output", str(tmp_path / "table")])
    assert "| mlp | 100.0 |" in (tmp_path / "table" / "experiments.md").read_text()
