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
    assert intersection_over_union((9, 9, -9, -9), (0, 0, 9, 9)) == 0.0


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


@pytest.fixture
def official(tmp_path):
    """Scores files in COCO's form; the pictures are 200 wide and 100 high."""

    def run(annotations, predictions, *options, images=({"id": 7, "width": 200, "height": 100},)):
        content = {"images": list(images), "annotations": annotations}
        (tmp_path / "a.json").write_text(json.dumps(content))
        (tmp_path / "p.json").write_text(json.dumps(predictions))
        files = [f"--{name}={tmp_path / name[0]}.json" for name in ("annotations", "predictions")]
        main([*files, f"--output={tmp_path / 's.json'}", *options])
        return json.loads((tmp_path / "s.json").read_text())

    return run


def annotated(number, box=(0, 0, 20, 40), split="val", **more):
    return {"id": number, "image_id": 7, "bbox": list(box), "split": split, **more}


def test_official_files_are_scored_by_split(official):
    annotations = [annotated(1), annotated(2), annotated(3, split="testA"), annotated(4, split="testA")]
    predictions = [
        {"id": 1, "bbox": [0, 0, 20, 40]},
        {"id": 2, "bbox": [10, 0, 20, 40]},  # a third
        {"id": 3, "bbox": [0, 0, 10, 40]},  # one half
        {"id": 4, "bbox": None},
    ]
    scores = official(annotations, predictions)
    assert scores["overall"] == 50.0
    assert scores["unparsable"] == 1
    val, test = scores["per_split"]["val"], scores["per_split"]["testA"]
    assert (val["accuracy_iou50"]["value"], test["accuracy_iou50"]["value"]) == (50.0, 50.0)
    assert (val["mean_iou"]["value"], test["mean_iou"]["value"]) == (pytest.approx(200 / 3, abs=1e-3), 25.0)
    assert (val["unparsable"], test["unparsable"]) == (0, 1)
    assert val["accuracy_iou50"]["n"] == 2
    assert scores["per_question"] == {"1": 100.0, "2": 0.0, "3": 100.0, "4": 0.0}


def test_one_split_of_several_can_be_scored_alone(official):
    scores = official([annotated(1), annotated(2, split="testA")], [{"id": 1, "bbox": [0, 0, 20, 40]}], "--split=val")
    assert (scores["n"], list(scores["per_split"])) == (1, ["val"])


def test_replies_as_text_are_read_with_the_size_of_their_picture(official):
    predictions = [{"id": 1, "answer": "it is {<0><0><10><40>}"}, {"id": 2, "answer": "no idea"}]
    scores = official([annotated(1), annotated(2)], predictions)
    assert (scores["overall"], scores["unparsable"]) == (50.0, 1)
    with pytest.raises(ValueError, match='has no width and height among the "images"'):
        official([annotated(1)], predictions[:1], images=[])


def test_boxes_outside_the_picture_or_of_negative_size_are_counted_and_wrong(official):
    boxes = [[-5, 0, 25, 40], [190, 0, 50, 40], [0, 0, -20, 40], [0, 0, 0, 0], [0, 0, float("inf"), 1], [1, 2, 3], "x"]
    predictions = [{"id": number, "bbox": box} for number, box in enumerate(boxes)]
    scores = official([annotated(number) for number in range(len(boxes))], predictions)
    assert (scores["outside_the_image"], scores["without_area"], scores["unparsable"]) == (2, 2, 3)
    assert [scores["per_question"][str(number)] for number in range(2, len(boxes))] == [0.0] * 5
    assert scores["n"] == len(boxes)


def test_official_files_that_do_not_fit_are_errors(official):
    right = [{"id": 1, "bbox": [0, 0, 20, 40]}]
    cases = [
        ([annotated(1, (0, 0, -20, 40))], right, "Question 1 has no box with an area"),
        ([annotated(1), annotated(1)], right, "more than once, 1"),
        ([annotated(1), annotated(2)], right, "1 questions without a prediction, 2"),
        ([annotated(1)], [*right, {"id": 5, "bbox": [0, 0, 1, 1]}], "1 unknown questions, 5"),
        ([annotated(1)], right * 2, "more than once, 1"),
        ([annotated(1)], [{"id": 1}], 'neither a "bbox" nor an "answer"'),
        ([annotated(1)], [{"name": 1, "bbox": [0, 0, 1, 1]}], "share none of the ids"),
        ([annotated(1)], {"1": [0, 0, 1, 1]}, "must be a list of"),
        ([{"id": 1}], right, 'must hold a list "annotations"'),
    ]
    for annotations, predictions, message in cases:
        with pytest.raises(ValueError, match=message):
            official(annotations, predictions)
    with pytest.raises(ValueError, match="holds no expression of split testB"):
        official([annotated(1)], right, "--split=testB")


def test_an_annotated_box_that_leaves_its_picture_is_counted(official):
    scores = official([annotated(1, (150, 50, 100, 100))], [{"id": 1, "bbox": [150, 50, 100, 100]}])
    assert (scores["annotated_outside_the_image"], scores["outside_the_image"], scores["overall"]) == (1, 1, 100.0)
