"""Boxes as other models write them: told, said, and never a silent zero."""

import json
import random

import pytest

from workflow_scripts.evaluation.box_forms import FORMS, read_boxes
from workflow_scripts.evaluation.score_rec import main

WIDTH, HEIGHT = 640, 480


def some_boxes(count=40, seed=0):
    """Corners in shares of the picture, as boxes of people and things lie in photographs."""
    generator = random.Random(seed)
    for _ in range(count):
        x, y = generator.uniform(0, 0.8), generator.uniform(0, 0.8)
        yield x, y, generator.uniform(x + 0.05, 1), generator.uniform(y + 0.05, 1)


def whole(numbers, scale):
    return [round(number * scale) for number in numbers]


def size_of(box):
    return (*box[:2], box[2] - box[0], box[3] - box[1])


def braces(numbers):
    return "{" + "".join(f"<{number}>" for number in whole(numbers, 100)) + "}"


WRITTEN = {
    "percent": lambda box: {"answer": f"it is {braces(size_of(box))}"},
    "percent-corners": lambda box: {"answer": f"<p>the man</p> {braces(box)}"},
    "normalised-corners": lambda box: {"answer": "the man [{:.3f},{:.3f},{:.3f},{:.3f}].".format(*box)},
    "thousandths-corners": lambda box: {"answer": "<ref>x</ref><box>({},{}),({},{})</box>".format(*whole(box, 1000))},
    "normalised": lambda box: {"bbox": size_of(box)},
    "pixels": lambda box: {"bbox": [n * e for n, e in zip(size_of(box), (WIDTH, HEIGHT) * 2, strict=True)]},
    "pixels-corners": lambda box: {"bbox": [n * e for n, e in zip(box, (WIDTH, HEIGHT) * 2, strict=True)]},
}


@pytest.fixture
def score(tmp_path):
    def run(predictions, *options, boxes=None):
        boxes = boxes or list(some_boxes(len(predictions)))
        annotated = [[n * e for n, e in zip(size_of(box), (WIDTH, HEIGHT) * 2, strict=True)] for box in boxes]
        content = {
            "images": [{"id": n, "width": WIDTH, "height": HEIGHT} for n in range(len(boxes))],
            "annotations": [{"id": n, "image_id": n, "bbox": box} for n, box in enumerate(annotated)],
        }
        rows = [{"id": n, **row} for n, row in enumerate(predictions)]
        (tmp_path / "a.json").write_text(json.dumps(content))
        (tmp_path / "p.json").write_text(json.dumps(rows))
        files = [f"--annotations={tmp_path / 'a.json'}", f"--predictions={tmp_path / 'p.json'}"]
        main([*files, f"--output={tmp_path / 's.json'}", *options])
        return json.loads((tmp_path / "s.json").read_text())

    return run


@pytest.mark.parametrize("form", WRITTEN)
def test_a_form_is_told_from_all_boxes_and_said(score, form, capsys):
    scores = score([WRITTEN[form](box) for box in some_boxes()])
    assert scores["box_forms"] == {form: 40}
    assert scores["figures"][1]["value"] > 90
    assert scores["overall"] == 100
    said = capsys.readouterr().err
    assert ("note" in said) == (form not in ("percent", "pixels"))
    assert form in ("percent", "pixels") or FORMS[form].words in said


@pytest.mark.parametrize("form", ["percent-corners", "pixels-corners"])
def test_one_wrong_box_among_corners_changes_no_others(score, form):
    boxes = list(some_boxes())
    rows = [WRITTEN[form](box) for box in boxes]
    rows[3] = WRITTEN[form]((0.5, 0.5, 0.1, 0.1))
    scores = score(rows, boxes=boxes)
    assert scores["box_forms"] == {form: 40}
    assert scores["overall"] == 97.5


def test_what_could_be_either_is_read_by_its_convention_and_the_other_is_named(score, capsys):
    boxes = [(0.1, 0.1, 0.5, 0.5)]
    shikra = score([WRITTEN["normalised-corners"](boxes[0])], boxes=boxes)
    assert shikra["overall"] == 100
    assert "could be [x,y,w,h] from 0 to 1 as well, which --form normalised says" in capsys.readouterr().err
    assert score([{"bbox": [0.1, 0.1, 0.5, 0.5]}], "--form=normalised-corners", boxes=boxes)["overall"] == 100
    assert score([{"bbox": [64, 48, 320, 240]}], "--form=pixels-corners", boxes=boxes)["overall"] == 100


def test_a_form_that_is_given_reads_what_cannot_be_told(score):
    boxes = list(some_boxes())
    rows = [{"answer": f"[{', '.join(map(str, whole(box, 1000)))}]"} for box in boxes]
    with pytest.raises(ValueError, match=r"None of the 40 replies in .*p.json holds a box .* the first is '.*--form"):
        score(rows, boxes=boxes)
    scores = score(rows, "--form=thousandths-corners", boxes=boxes)
    assert scores["overall"] == 100


def test_unreadable_replies_are_a_warning_from_five_per_cent_on(score, capsys):
    boxes = list(some_boxes(100))
    rows = [WRITTEN["percent"](box) for box in boxes]
    score([*rows[4:], *[{"answer": "there"}] * 4], boxes=[*boxes[4:], *boxes[:4]])
    assert "warning" not in capsys.readouterr().err
    scores = score([*rows[5:], *[{"answer": "there"}] * 5], boxes=[*boxes[5:], *boxes[:5]])
    assert "warning: 5 of 100 replies hold no box that can be read" in capsys.readouterr().err
    assert (scores["unparsable"], scores["overall"]) == (5, 95)


def test_the_help_shows_the_forms(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(word in said for word in ("{<x><y><w><h>}", "{<x1><y1><x2><y2>}", "[x1,y1,x2,y2]", "--form"))


def test_boxes_in_the_form_of_this_workflow_that_leave_the_picture_stay_in_it():
    # A size is never a corner where one box has a smaller right edge than left.
    read = read_boxes(["{<60><60><70><70>}", "{<60><60><10><10>}", "{<1><2><3><x>}"], [(100, 100)] * 3)
    assert [one.form if one else None for one in read] == ["percent", "percent", None]
    assert read[0].box == (60, 60, 70, 70)
