"""One image, two, and values that are all the same: what is not defined is absent with the reason, never a zero."""

import json

import numpy as np
import pytest

from workflow_scripts.evaluation import score_captions, score_exact_match, score_retrieval, score_vqa, score_wups
from workflow_scripts.evaluation.paired_bootstrap import NotComparableError, compare, verdict
from workflow_scripts.evaluation.predictions import write_predictions


@pytest.fixture
def score(tmp_path, question, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # without Java

    def run(module, replies, **values):
        rows = [question(n, **{"answers": ["cat"] * 10, **values}) for n in range(len(replies))]
        write_predictions(tmp_path / "p.jsonl", rows, [None] * len(rows), replies)
        module.main([f"--predictions={tmp_path / 'p.jsonl'}", f"--output={tmp_path / 's.json'}"])
        scores = json.loads((tmp_path / "s.json").read_text())
        return scores, {one["id"].split(".", 1)[-1]: one for one in scores["figures"]}

    return run


def test_cider_of_one_image_is_absent_with_the_reason(score, capsys):
    said = "a brown dog runs on the beach"
    scores, figures = score(score_captions, [said], answers=[said, "the dog runs fast"])
    assert "cider" not in figures
    assert figures["bleu_4"]["value"] == pytest.approx(100, abs=1e-3)
    assert scores["absent"].startswith("CIDEr is not defined: ")
    assert "there is one image" in scores["absent"]
    assert "per_question" not in scores
    out, err = capsys.readouterr()
    assert "cider" not in out
    assert "CIDEr is not defined" in err


@pytest.mark.parametrize("count", [2, 7])
def test_cider_of_images_with_equal_references_is_absent_with_the_reason(score, count):
    scores, figures = score(score_captions, ["a dog runs here"] * count, answers=["a dog runs here", "a dog"])
    assert "cider" not in figures
    assert "the references of all images are made of the same words" in scores["absent"]
    assert scores["without_weight"] == count
    assert figures["bleu_1"]["ci95"] == [figures["bleu_1"]["value"]] * 2


def test_cider_is_a_figure_where_one_image_of_several_has_words_of_its_own(tmp_path, question, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    rows = [question(n, answers=["a dog" + " runs" * n]) for n in range(2)]
    write_predictions(tmp_path / "p.jsonl", rows, [None] * 2, ["a dog", "a dog runs"])
    score_captions.main([f"--predictions={tmp_path / 'p.jsonl'}", f"--output={tmp_path / 's.json'}"])
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["figures"][0]["id"] == "captions.cider"
    assert scores["without_weight"] == 1


def test_bleu_of_more_words_than_any_caption_has_is_absent_with_the_reason(score):
    scores, figures = score(score_captions, ["a dog", "dog"], answers=["a dog"])
    assert [name for name in figures if name.startswith("bleu")] == ["bleu_2", "bleu_1"]
    assert "BLEU-3 and longer are not defined: no caption has 3 words" in scores["absent"]


@pytest.mark.parametrize("module", [score_vqa, score_exact_match, score_wups, score_captions])
def test_one_image_has_no_interval_however_many_questions_there_are(score, module, capsys):
    scores, figures = score(module, ["cat"] if module is score_captions else ["cat", "dog"], image="s/0")
    assert scores["ci95"] is None
    assert all(one["ci95"] is None for one in figures.values())
    assert "There is no interval: it is taken over images, and there is one." in scores["absent"]
    assert "without interval, n = " in capsys.readouterr().out


@pytest.mark.parametrize("module", [score_vqa, score_exact_match, score_wups])
@pytest.mark.parametrize(("replies", "interval"), [(["cat", "cat"], [100, 100]), (["cat", "dog"], [0, 100])])
def test_two_images_have_the_interval_that_resampling_them_gives(score, module, replies, interval):
    scores, _ = score(module, replies)
    assert scores["ci95"] == interval
    assert "interval" not in (scores.get("absent") or "")


def test_retrieval_of_one_image_has_no_interval_and_equal_similarities_count_against_us(tmp_path):
    def run(images):
        content = {"images": [{"id": n} for n in range(images)]}
        content["annotations"] = [{"image_id": n, "caption": "x"} for n in range(images)]
        (tmp_path / "c.json").write_text(json.dumps(content))
        np.save(tmp_path / "s.npy", np.ones((images, images)))
        files = [f"--similarity={tmp_path / 's.npy'}", f"--captions={tmp_path / 'c.json'}"]
        score_retrieval.main([*files, f"--output={tmp_path / 'o.json'}"])
        return json.loads((tmp_path / "o.json").read_text())

    assert [one["ci95"] for one in run(1)["figures"]] == [None] * 8
    of_two = run(2)
    assert of_two["figures"][0]["value"] == 0
    assert of_two["figures"][3]["ci95"] == [2, 2]


def scores_of(values, image="s/{}"):
    names = [f"q{n}" for n in range(len(values))]
    return {
        "id": "x",
        "per_question": dict(zip(names, map(float, values), strict=True)),
        "image_of_question": {name: image.format(n) for n, name in enumerate(names)},
    }


def test_two_scorings_of_one_image_cannot_be_compared():
    with pytest.raises(NotComparableError, match="are of one image"):
        compare(scores_of([0, 0], "s/0"), scores_of([100, 100], "s/0"))


def test_two_scorings_of_what_is_not_defined_cannot_be_compared(score):
    scores, _ = score(score_captions, ["a dog"])
    with pytest.raises(NotComparableError, match="CIDEr is not defined"):
        compare(scores, scores)


@pytest.mark.parametrize(("images", "p", "differ"), [(2, 0.5, False), (5, 0.0625, False), (6, 0.03125, True)])
def test_few_images_that_all_differ_are_no_rarer_than_chance_has_them(images, p, differ):
    found = compare(scores_of([0] * images), scores_of([100] * images))
    assert (found.p_value, found.differ) == (p, differ)
    assert ("fewer than 6 images cannot tell" in verdict("a", "b", found)) == (not differ)
