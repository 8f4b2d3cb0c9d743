"""Experiments with another adaptor, mixed pretraining and another language model, on a finished run of scale `tiny`."""

import csv
import json

import pytest

pytestmark = pytest.mark.slow

NEW = ("mlp", "mixed", "other_language_model")


@pytest.fixture
def experiments(project):
    """The project with these experiments run in it beside those of the report."""
    project.keep_experiments(*NEW)
    planned = project.planned("experiments")
    assert planned["train_adaptor"] == 3 + 2 + 2
    assert planned["train_language_model"] == planned["merge_samples"] == 1
    assert not set(planned) & {"fetch_files", "download_images", "extract_features", "filter_pairs", "build_mix"}
    project.snakemake("experiments")
    return project


def read(path):
    return json.loads(path.read_text())


def test_every_one_is_trained_on_what_it_names_and_scored_beside_the_report(experiments):
    scale = experiments.folder / "results/tiny"
    runs = {(record["name"], record["stage"]): record for record in map(read, scale.glob("*/*/run.json"))}
    report = runs["report", "pretrain"]
    assert {(name, stage) for name, stage in runs if name in NEW} == {
        *((name, stage) for name in NEW for stage in ("pretrain", "finetune")), ("mlp", "finetune_okvqa"),
    }  # fmt: skip

    assert runs["mlp", "pretrain"]["settings"]["adaptor"] == "mlp"
    assert runs["mlp", "pretrain"]["trainable_parameters"] > report["trainable_parameters"]
    assert runs["mlp", "finetune"]["initial_adaptor"] == runs["mlp", "pretrain"]["adaptor_sha256"]

    (mixed,) = map(read, scale.glob("data/merged-*/manifest.json"))
    (pairs,) = map(read, scale.glob("data/pairs-*/manifest.json"))
    assert runs["mixed", "pretrain"]["samples"]["count"] == mixed["count"] > pairs["count"]
    assert mixed["tasks"].keys() == {"caption", "vqa", "relationship", "description", "okvqa", "refcoco"}
    assert mixed["tasks"]["caption"] == pairs["count"]

    def language_model_of(record):
        (config,) = scale.glob(f"models/*-{record['identity']['from']['language_model']}/config.json")
        return read(config)

    layers = [language_model_of(record)["num_hidden_layers"] for record in (report, runs[NEW[2], "pretrain"])]
    assert layers[1] < layers[0]

    with open(scale / "experiments/experiments.csv", newline="") as stream:
        table = {row.pop("label"): row for row in csv.DictReader(stream)}
    for name in NEW:
        assert table[name]["exact match before finetuning"], name
        assert table[name]["exact match after finetuning"], name
    # Its pretraining saw OK-VQA's training questions and RefCOCO's boxes.
    assert not table["mixed"]["OK-VQA accuracy, zero-shot"]
    assert table["mixed"]["OK-VQA accuracy, finetuned"]
    assert table["mixed"]["boxes at IoU 0.5"]
    assert table["other_language_model"]["OK-VQA accuracy, zero-shot"]
    assert not experiments.planned("experiments")
