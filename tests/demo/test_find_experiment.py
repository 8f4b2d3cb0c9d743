import json
import os
import shutil

import pytest
from tiny_results import write_run

from workflow_scripts.demo.find_experiment import example_queries, example_questions, find_experiment


@pytest.fixture
def results(tiny_results, tmp_path):
    """A copy that a test may change, as one scale of several."""
    shutil.copytree(tiny_results, tmp_path / "results" / "small")
    return tmp_path / "results"


def checksum(results):
    return json.loads((results / "small/search/pictures-d/index.json").read_text())["extractor_sha256"]


def test_finetuning_comes_before_pretraining_and_brings_its_models_and_index(tiny_results):
    found = find_experiment(tiny_results)
    assert found.run.label == "report · finetune · 2"
    assert [run.label for run in found.others] == ["report · pretrain · 1"]
    assert found.language_model == tiny_results / "models/language_model-bbb"
    assert len(found.index) == 18


def test_of_two_finetunings_the_newest_is_taken_whatever_its_scale(results):
    shutil.copytree(results / "small", results / "other")
    newer = write_run(results / "other", "finetune", "mlp", checksum(results), seed=7)
    assert find_experiment(results).run.folder == newer.resolve()
    assert find_experiment(results / "small").run.label == "report · finetune · 2"


def test_an_unfinished_training_is_passed_over(results):
    newer = write_run(results / "small", "finetune", "report", checksum(results), seed=8)
    (newer / "adaptor.safetensors").unlink()
    assert find_experiment(results).run.label == "report · finetune · 2"


def test_a_named_training_is_taken(results):
    assert find_experiment(results, results / "small/pretrain/report-1").run.label == "report · pretrain · 1"


def test_a_training_on_another_extractor_is_not_offered_and_cannot_be_named(results):
    other = write_run(results / "small", "finetune_okvqa", "okvqa", "f" * 64, seed=9)
    assert [run.label for run in find_experiment(results).others] == ["report · pretrain · 1"]
    with pytest.raises(ValueError, match="another feature extractor"):
        find_experiment(results, other)


@pytest.mark.parametrize(
    ("gone", "says"),
    [("finetune", None), ("search", "no search index"), ("models/language_model-bbb", "language model")],
)
def test_what_is_missing_is_said(results, gone, says):
    shutil.rmtree(results / "small" / gone)
    if says is None:
        shutil.rmtree(results / "small" / "pretrain")
        says = "make reproduce"
    with pytest.raises(ValueError, match=says):
        find_experiment(results)


def test_examples_are_those_of_the_report_and_of_the_evaluation(tmp_path):
    import pyarrow
    import pyarrow.parquet

    assert example_queries(tmp_path) == []
    assert example_questions(tmp_path)
    (tmp_path / "report").mkdir()
    sheet = {"queries": [{"query": "a red kite", "image": None}, {"query": "a caption", "image": "set/1"}]}
    (tmp_path / "report/sheet.json").write_text(json.dumps(sheet))
    assert example_queries(tmp_path) == ["a red kite"]
    rows = [("what colour is it?", "colour")] * 3 + [("where?", "where")] * 2 + [("which colour?", "colour")]
    folder = tmp_path / "questions/visual_genome-1"
    os.makedirs(folder)
    table = [{"query": query, "kind": kind, "task": "vqa"} for query, kind in rows]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), folder / "questions.parquet")
    assert example_questions(tmp_path) == ["what colour is it?", "where?"]
