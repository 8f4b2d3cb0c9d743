"""The benchmarks' README is what the measured files say, and what is measured is what the project does."""

import hashlib
import json

import numpy as np
import pytest

from benchmarks import data_path, language_models_of_photos, questions_by_linear_models
from benchmarks.overhead import save_of_full_size, shares
from benchmarks.render import FOLDER, render
from benchmarks.resume_anywhere import BATCH, first_batch, make_index


def test_the_readme_of_the_benchmarks_is_rendered_from_the_measured_files():
    assert (FOLDER / "README.md").read_text() == render()


def test_the_loader_that_is_measured_gives_the_batches_of_a_training_at_any_step(tmp_path):
    from workflow_scripts.training.order import BatchOrder

    make_index(tmp_path / "index", 1000)
    bounds = np.load(tmp_path / "index" / "prepared" / "bounds.npy")
    order = BatchOrder(bounds[:, 3] - bounds[:, 0], BATCH, 0, 32)
    for step in (0, 19, 3):
        found = first_batch(tmp_path / "index", step)
        assert found["indices"] == hashlib.sha256(order.batch(step).tobytes()).hexdigest()
        assert found["seconds"] > 0


def test_the_overhead_is_the_sum_of_its_parts_as_a_share_of_a_minute(tmp_path):
    found = shares((0.3, 0.6), 0.06, (0.24, 0.54))
    assert found["checkpoint"] == 0.5
    assert found["sum"] == 1.0
    assert found["sum_at_full_size"] == 2.0
    assert min(save_of_full_size(tmp_path)) > 0
    (last, _) = sorted(tmp_path.iterdir(), reverse=True)
    assert sum(path.stat().st_size for path in last.iterdir()) > 3 * 4 * 3_149_824


def test_linear_models_find_what_rooms_hold_and_what_words_make_usual():
    rng = np.random.default_rng(0)
    things = ["bed", "sink", "desk", "stove"]
    kinds = rng.integers(4, size=120)
    described = np.eye(4)[kinds] + 0.3 * rng.standard_normal((120, 4))
    images = [f"rooms/{number}" for number in range(120)]
    rows = [
        row
        for image, kind in zip(images, kinds, strict=True)
        for row in (
            {"image": image, "query": "what is in the middle?", "answer": things[kind]},
            {"image": image, "query": "what colour is the wall?", "answer": "white"},
        )
    ]
    answers = np.unique([row["answer"] for row in rows])
    told, asked = rows[:180], rows[180:]
    words = questions_by_linear_models.by_words(told, asked, answers)
    of_words = questions_by_linear_models.exact_match(words, asked, answers)
    assert of_words[1::2].all(), "the colour is the same everywhere"
    assert of_words[::2].mean() < 0.6

    rooms = questions_by_linear_models.Rooms(described, images)
    halves = np.arange(90), np.arange(90, 180)
    folds = [
        (kept, left, questions_by_linear_models.by_words([told[n] for n in kept], [told[n] for n in left], answers))
        for kept, left in (halves, halves[::-1])
    ]
    penalty, weight = questions_by_linear_models.choose(rooms, told, folds, answers)
    assert weight > 0
    shown = [row["image"] for row in asked]
    scores = words + weight * rooms.scores(told, shown, answers, penalty)
    assert questions_by_linear_models.exact_match(scores, asked, answers).mean() > 0.85
    moved = [*shown[2:], *shown[:2]]
    others = words + weight * rooms.scores(told, moved, answers, penalty)
    assert questions_by_linear_models.exact_match(others, asked, answers).mean() < 0.8


def write_training(folder, name, run_id, initial, adaptor, precision="auto"):
    record = {
        "run_id": run_id,
        "initial_adaptor": initial,
        "adaptor_sha256": adaptor,
        "trainable_parameters": 98560,
        "settings": {"precision": precision, "epochs": 2},
        "seconds": 90,
        "environment": {"threads": 1, "cpu": "A processor, 2 threads"},
    }
    (folder / f"{name}-{run_id}").mkdir(parents=True)
    (folder / f"{name}-{run_id}" / "run.json").write_text(json.dumps(record))


def write_scores(folder, run_id, **values):
    folder.mkdir(parents=True)
    figures = [{"id": name, "value": value, "ci95": [value - 1, value + 1], "n": 9} for name, value in values.items()]
    (folder / "scores.json").write_text(json.dumps({"adaptor_run_id": run_id, "figures": figures}))


def test_rows_of_other_language_models_are_read_from_the_scores_of_their_own_trainings(tmp_path):
    results, output = tmp_path / "photos", tmp_path / "measured" / "rows.json"
    write_training(results / "pretrain", "report", "p1", None, "one")
    write_training(results / "pretrain", "low_rank", "p2", None, "two")
    write_training(results / "finetune", "report", "f1", "one", "three")
    write_training(results / "finetune", "low_rank", "f2", "two", "four", "bf16")
    evaluation = results / "evaluation"
    write_scores(evaluation / "captions" / "a", "p1", **{"flickr8k.captions.cider": 29.0})
    write_scores(evaluation / "captions" / "b", "p2", **{"flickr8k.captions@low_rank.cider": 31.0})
    write_scores(evaluation / "daquar" / "a", "f2", **{"daquar.exact_match.after@low_rank": 19.0, "other": 1.0})
    write_scores(evaluation / "daquar" / "b", None, **{"daquar.exact_match.after": 7.0})
    folders = [str(results / "finetune" / name) for name in ("report-f1", "low_rank-f2")]
    rows = ["--row", "frozen", folders[0], "--row", "not frozen", folders[1]]
    language_models_of_photos.main([*rows, "--output", str(output)])
    frozen, other = json.loads(output.read_text())["rows"]
    assert {name: figure["value"] for name, figure in frozen["figures"].items()} == {"flickr8k.captions.cider": 29.0}
    assert {name: figure["value"] for name, figure in other["figures"].items()} == {
        "flickr8k.captions.cider": 31.0,
        "daquar.exact_match.after": 19.0,
    }
    text = render(output.parent)
    assert "| not frozen | 31.0 [30.0, 32.0] | not measured |" in text
    assert "| not frozen | 98,560 | 2, 1.5 min, 1 | 2, 1.5 min, 1 | fp32, bf16 |" in text


@pytest.mark.slow
def test_the_data_path_is_measured_at_every_size_and_told_for_three_million_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(data_path, "REAL_WIDTH_SAMPLES", 2_000)
    (tmp_path / "measured").mkdir()
    output = tmp_path / "measured" / "data_path.json"
    data_path.main(["--samples", "4000", "2000", "--folder", str(tmp_path), "--output", str(output)])
    rows = json.loads(output.read_text())["rows"]
    narrow = [(row["task"], row["samples"]) for row in rows if row["width"] < data_path.WIDTH]
    assert narrow == [(task, count) for count in (2_000, 4_000) for task in data_path.TASKS]
    assert all(row["cpu_seconds"] > 0 and row["bytes"] > 0 for row in rows)
    text = render(tmp_path / "measured")
    assert "| step | 2,000 | 4,000 | bytes a sample more | MB for 3,000,000 |" in text
    # 32 queries of 768 and of 256 values of two bytes, and the headers of the files.
    assert "3,000,000 pairs take 197 GB of features" in text
    with pytest.raises(SystemExit):
        data_path.main(["--samples", "100"])
