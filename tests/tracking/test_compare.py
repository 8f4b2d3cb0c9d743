import copy
import json

import numpy as np
import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.tracking.compare import compare, find_run, main

RUN = {
    "run_id": "aaaaaaaaaaaa",
    "name": "report",
    "stage": "finetune",
    "settings": {"batch_size": 8, "learning_rate": 0.001},
    "samples": {"path": "x", "sha256": "a" * 64, "count": 100},
    "features": [{"image_set": "coco", "manifest": "m1", "extractor": "e" * 64}],
    "language_model": "f" * 64,
    "initial_adaptor": None,
    "code_digest": "c1",
    "git_revision": "g1",
    "environment": {"python": "3.11", "packages": {"torch": "2.0"}},
}


@pytest.fixture
def run(tmp_path):
    """Writes a training with its scores: a list of right (100) and wrong (0) answers."""

    def write(id, answers=(), suffix="", **changes):
        folder = tmp_path / "mini" / "finetune" / f"report-{id}"
        write_json(folder / "run.json", copy.deepcopy(RUN) | {"run_id": id} | changes)
        if len(answers):
            figure = f"visual_genome.exact_match.after{suffix}"
            value = float(np.mean(answers))
            scores = {"id": figure, "benchmark": "visual_genome", "adaptor_run_id": id}
            scores["figures"] = [{"id": figure, "value": value, "n": len(answers), "ci95": [value - 5, value + 5]}]
            scores["per_question"] = {str(n): answer for n, answer in enumerate(answers)}
            scores["image_of_question"] = {str(n): f"set/{n}" for n in range(len(answers))}
            write_json(tmp_path / "mini" / "evaluation" / "visual_genome" / f"after-{id}" / "scores.json", scores)
        return folder

    return write


def test_runs_that_are_alike_differ_in_nothing(run):
    found = compare(run("aaaaaaaaaaaa"), run("bbbbbbbbbbbb"))
    assert (found.parameters, found.data, found.code, found.environment, found.figures) == ([], [], [], [], [])


def test_each_thing_that_differs_is_named_with_both_values(run):
    changes = {
        "settings": {"batch_size": 16, "learning_rate": 0.001, "epochs": 2},
        "samples": {"path": "y", "sha256": "b" * 64, "count": 100},
        "code_digest": "c2",
        "environment": {"python": "3.11", "packages": {"torch": "2.1"}},
    }
    found = compare(run("aaaaaaaaaaaa"), run("bbbbbbbbbbbb", **changes))
    assert [(one.name, one.a, one.b) for one in found.parameters] == [("batch_size", "8", "16"), ("epochs", "", "2")]
    assert [one.name for one in found.data] == ["samples.sha256"]
    assert [(one.name, one.a, one.b) for one in found.code] == [("code_digest", "c1", "c2")]
    assert [(one.name, one.a, one.b) for one in found.environment] == [("packages.torch", "2.0", "2.1")]


def test_answers_to_the_same_questions_are_compared_in_pairs(run):
    """Intervals of the two scores overlap, but all that changed is better: only pairs can see that."""
    worse = [100] * 50 + [0] * 50
    better = [100] * 58 + [0] * 42
    (figure,) = compare(run("aaaaaaaaaaaa", worse), run("bbbbbbbbbbbb", better, suffix="@mlp")).figures
    assert (figure.a, figure.b, figure.verdict) == (50.0, 58.0, "B better")
    assert "paired bootstrap, B - A +8.00" in figure.how
    (same,) = compare(run("aaaaaaaaaaaa", worse), run("bbbbbbbbbbbb", worse)).figures
    assert same.verdict == "no difference"


def test_other_questions_are_compared_by_their_intervals(run):
    (figure,) = compare(run("aaaaaaaaaaaa", [100, 0] * 10), run("bbbbbbbbbbbb", [100] * 30)).figures
    assert (figure.verdict, figure.how) == ("B better", "intervals; not each question's score is known in both")


def test_runs_are_found_by_folder_by_file_and_by_id(run, tmp_path):
    folder = run("aaaaaaaaaaaa")
    assert find_run(str(folder), tmp_path) == find_run(str(folder / "run.json"), tmp_path) == folder
    assert find_run("aaaaaaaaaaaa", tmp_path) == folder
    with pytest.raises(ValueError, match=r"neither the folder nor the id .* there are report-aaaaaaaaaaaa"):
        find_run("cccccccccccc", tmp_path)
    with pytest.raises(ValueError, match="neither the folder nor the id"):
        find_run("", tmp_path)


def test_the_command_prints_a_text_or_json(run, tmp_path, capsys):
    run("aaaaaaaaaaaa", [100, 0] * 10)
    run("bbbbbbbbbbbb", [100, 100] * 10, settings={"batch_size": 16, "learning_rate": 0.001})
    main(["aaaaaaaaaaaa", "bbbbbbbbbbbb", "--results", str(tmp_path)])
    text = capsys.readouterr().out
    assert "A  finetuning, run aaaaaaaaaaaa" in text
    assert "batch_size  8 -> 16" in text
    assert "data: no difference" in text
    assert "exact match after finetuning   50.00 -> 100.00  B better" in text
    main(["aaaaaaaaaaaa", "bbbbbbbbbbbb", "--results", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["parameters"] == [{"name": "batch_size", "a": "8", "b": "16"}]
