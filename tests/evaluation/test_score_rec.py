import json

import numpy as np
import pytest
from pycocotools import mask

from workflow_scripts.evaluation.predictions import write_predictions
from workflow_scripts.evaluation.score_rec import intersection_over_union, main


def test_iou_of_hand_computed_boxes():
    assert intersection_over_union((0, 0, 10, 10), (0, 0, 10, 10)) == 1.0
    assert intersection_over_union((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert intersection_over_union((0, 0, 10, 10), (10, 0, 10, 10)) == 0.0
    assert intersection_over_union((0, 0, 0, 0), (0, 0, 0, 0)) == 0.0


def test_iou_equals_that_of_the_coco_api():
    generator = np.random.default_rng(2)
    first, second = generator.uniform(0, 60, (200, 4)), generator.uniform(0, 60, (200, 4))
    expected = mask.iou(first, second, [0] * 200)
    ours = [[intersection_over_union(tuple(a), tuple(b)) for b in second] for a in first]
    assert np.allclose(ours, expected, atol=1e-12)


@pytest.fixture
def score(tmp_path, question, write_questions):
    def run(boxes, replies):
        rows = [question(number, box=box, kind="expression") for number, box in enumerate(boxes)]
        write_predictions(tmp_path / "p.jsonl", rows, [None] * len(rows), replies)
        files = ["--predictions", str(tmp_path / "p.jsonl"), "--questions", str(write_questions(rows))]
        main([*files, "--id", "refcoco", "--output", str(tmp_path / "s.json")])
        return json.loads((tmp_path / "s.json").read_text())

    return run


def test_replies_are_per_cents_of_the_image_and_boxes_are_its_pixels(score):
    # The image is 100 wide and 200 high: 50 per cent of its height are 100 pixels.
    scores = score([[10.0, 100.0, 20.0, 40.0]] * 2, ["it is {<10><50><20><20>}", "{<10><25><20><20>}"])
    assert {figure["id"]: figure["value"] for figure in scores["figures"]} == {
        "refcoco.accuracy_iou50": 50.0,
        "refcoco.mean_iou": 50.0,
    }


def test_an_iou_of_exactly_one_half_counts(score):
    assert score([[0.0, 0.0, 20.0, 40.0]], ["{<0><0><10><20>}"])["figures"][0]["value"] == 100.0


def test_replies_that_cannot_be_read_are_wrong_and_counted(score):
    replies = ["no idea", "", "{<1><2><3>}", "{<0><0><0><20>}", "{<90><90><50><50>}"]
    scores = score([[0.0, 0.0, 20.0, 40.0]] * 5, replies)
    assert scores["figures"][0]["value"] == 0.0
    assert (scores["unparsable"], scores["without_area"], scores["outside_the_image"]) == (3, 1, 1)


def test_an_annotated_box_without_area_is_an_error(score):
    with pytest.raises(ValueError, match="q0 has no box with an area"):
        score([[0.0, 0.0, -5.0, 4.0]], ["{<0><0><10><20>}"])
