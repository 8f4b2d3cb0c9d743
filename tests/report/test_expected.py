from pathlib import Path

import pytest

from workflow_scripts.report.expected import (
    ReportedFigures,
    Requirement,
    ScaleExpectations,
    judge,
    read_expected,
    two_decimals,
)
from workflow_scripts.report.names import figure_name, run_name, split_experiment

ROOT = Path(__file__).parents[2]


def entry(value, low=None, high=None):
    return {"value": value, "ci95": [value - 2 if low is None else low, value + 2 if high is None else high], "n": 10}


RESULTS = {"a": entry(50.0), "b": entry(40.0), "c": entry(47.5)}


@pytest.mark.parametrize(
    ("requirement", "reached"),
    [
        ({"at_least": 50}, True),
        ({"at_least": 50.1}, False),
        ({"at_most": 49}, False),
        ({"above": "b", "by": 10}, True),
        ({"above": "b", "by": 10.5}, False),
        ({"interval_above": "b"}, True),
        ({"interval_above": "c"}, False),
        ({"above": "absent", "by": 1}, None),
        ({"kind": "what", "at_least": 20}, True),
        ({"kind": "where", "at_least": 20}, None),
    ],
)
def test_requirements_are_checked(requirement, reached):
    breakdowns = {"a": {"what": {"value": 30.0, "n": 5}}}
    assert Requirement(level="must", figure="a", **requirement).check(RESULTS, breakdowns)[1] is reached


def test_an_absent_figure_is_neither_reached_nor_missed():
    assert Requirement(level="must", figure="absent", at_least=1).check(RESULTS, {}) == ("", None)


def scale(**values):
    return ScaleExpectations.model_validate({"comparable_with_report": False} | values)


def own(value, tolerance):
    return {"figures": [{"id": "a", "value": value, "tolerance": tolerance, "source": "a run"}]}


REPORTED = ReportedFigures.model_validate(
    {"source": "r", "wordings": {"w": "51 of a"}}
    | {"figures": [{"id": id, "value": value, "source": "t", "wording": "w"} for id, value in (("a", 51.0), ("x", 1))]}
).figures[0]


@pytest.mark.parametrize(
    ("expectations", "verdict"),
    [
        (scale(), "not comparable"),
        (scale(requirements=[{"level": "must", "figure": "a", "at_least": 45}]), "must reached"),
        (scale(requirements=[{"level": "must", "figure": "a", "at_least": 55}], **own(50, 1)), "must missed"),
        (scale(requirements=[{"level": "aim", "figure": "a", "at_least": 55}]), "not comparable"),
        (scale(**own(50.5, 1)), "within tolerance"),
        (scale(**own(55, 1)), "below expected"),
        (scale(**own(45, 1)), "above expected"),
        (scale(comparable_with_report=True), "reached"),
    ],
)
def test_the_verdict_follows_from_musts_then_our_own_figures_then_the_report(expectations, verdict):
    assert judge("a", RESULTS, {}, expectations, REPORTED).text == verdict


def test_at_full_scale_the_interval_decides_against_the_report():
    full = scale(comparable_with_report=True)
    assert judge("a", {"a": entry(40.0)}, {}, full, REPORTED).text == "below the report"
    assert judge("a", {"a": entry(60.0)}, {}, full, REPORTED).text == "above the report"


def test_a_figure_that_no_run_gave_is_not_judged():
    assert judge("a", {}, {}, scale(**own(50, 1)), REPORTED).text == "not run"


@pytest.mark.parametrize("path", sorted((ROOT / "expected").glob("*.yaml")), ids=lambda path: path.name)
def test_the_projects_own_files_are_valid(path):
    read_expected(path, ReportedFigures if path.name == "report.yaml" else ScaleExpectations)


def test_a_file_that_does_not_fit_names_the_place(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("comparable_with_report: false\nrequirements: [{level: must, figure: a}]\n")
    with pytest.raises(ValueError, match=r"x.yaml, requirements.0: .*exactly one of"):
        read_expected(path, ScaleExpectations)
    path.write_text("comparable_with_report: false\nfigurs: []\n")
    with pytest.raises(ValueError, match="figurs"):
        read_expected(path, ScaleExpectations)
    path.write_text("a: [")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_expected(path, ScaleExpectations)


def test_published_values_keep_their_decimals():
    assert [two_decimals(value) for value in (33.21, 89.0, 57.1)] == ["33.21", "89.0", "57.1"]


def test_figures_have_names_and_experiments_are_told_apart():
    assert figure_name("coco_retrieval.blip2.r_at_10") == "BLIP-2 (ITC) R@10"
    assert figure_name("coco_retrieval.blip2_itm.first_caption.image_to_text_r_at_1") == (
        "BLIP-2 (ITC, the best again by ITC + ITM) R@1, image to text, first captions only"
    )
    assert figure_name("coco_retrieval.clip.colour_matched_r_at_1") == "CLIP R@1 in colour-matched groups"
    assert figure_name("okvqa.accuracy.finetuned@mlp.lemmatised") == (
        "OK-VQA accuracy, finetuned, lemmatised (not official) (mlp)"
    )
    assert figure_name("visual_genome.exact_match.after@mlp") == "exact match after finetuning (mlp)"
    assert split_experiment("visual_genome.exact_match.after@mlp.contained") == (
        "visual_genome.exact_match.after.contained",
        "mlp",
    )


def test_a_training_is_called_by_its_stage_and_experiment():
    assert run_name({"stage": "pretrain", "name": "report"}) == "pretraining"
    assert run_name({"stage": "finetune_okvqa", "name": "okvqa"}) == "finetuning, okvqa"
    assert run_name({"stage": "finetune_okvqa", "name": "mlp"}) == "finetuning, okvqa (mlp)"
