"""Experiments that train or change more than the adaptor, at scale `tiny`, from the samples to the table of scores."""

import csv
import json

import pytest

pytestmark = pytest.mark.slow

NEW = ("q_former_query", "q_former_trained", "low_rank")


@pytest.fixture
def experiments(project):
    """The project with the report's experiment and these run in it."""
    project.keep_experiments(*NEW)
    assert project.planned("experiments")["train_adaptor"] == 5, "one has the report's pretraining"
    project.snakemake("experiments")
    return project


def test_other_q_formers_and_additions_to_the_language_model_are_scored_beside_the_report(experiments):
    scale = experiments.folder / "results/tiny"
    with open(scale / "experiments/experiments.csv", newline="") as stream:
        table = {row.pop("label"): row for row in csv.DictReader(stream)}
    for name in NEW:
        assert table[name]["exact match after finetuning"], table[name]

    runs = {
        (record["name"], record["stage"]): record
        for record in map(json.loads, (path.read_text() for path in scale.glob("*/*/run.json")))
    }
    adaptor = runs["report", "finetune"]["trainable_parameters"]
    assert runs["q_former_query", "finetune"]["trainable_parameters"] == adaptor
    for name in ("q_former_trained", "low_rank"):
        first, second = (runs[name, stage] for stage in ("pretrain", "finetune"))
        assert first["trainable_parameters"] == second["trainable_parameters"] > adaptor
        assert second["initial_adaptor"] == first["adaptor_sha256"]

    # Answers are of the same pictures and questions by other soft tokens.
    answers = {
        path.parent.name.rsplit("-", 1)[0]: path.read_text()
        for path in scale.glob("evaluation/visual_genome/after-*/predictions.jsonl")
    }
    assert len(set(answers.values())) == len(answers) == 4
    assert not experiments.planned("experiments")


def test_without_a_cache_no_features_of_the_pictures_of_pretraining_are_planned(untouched):
    cached = untouched.planned()["extract_features"]
    assert untouched.planned(pretrain="{features: online}")["extract_features"] == cached - 2
