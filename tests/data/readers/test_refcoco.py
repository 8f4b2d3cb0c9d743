import os
import pickle

import pytest

from workflow_scripts.data.readers import refcoco
from workflow_scripts.data.records import Record


def read(folder):
    return refcoco.read(folder, refcoco.Options(), frozenset({"refcoco"}))


def ref(number, annotation, split="train", sentences=(), image=581857):
    return {
        "sent_ids": [key for key, _ in sentences],
        "file_name": f"COCO_train2014_{image:012d}_{annotation}.jpg",
        "ann_id": annotation,
        "ref_id": number,
        "image_id": image,
        "split": split,
        "sentences": [{"tokens": t.split(), "raw": t, "sent_id": k, "sent": t} for k, t in sentences],
        "category_id": 1,
    }


INSTANCES = {
    "images": [{"id": 581857, "file_name": "COCO_train2014_000000581857.jpg", "width": 640, "height": 427}],
    "annotations": [
        {"id": 1, "bbox": [10.5, 20, 100, 50.25], "image_id": 581857},
        {"id": 2, "bbox": [0, 0, 0, 10], "image_id": 581857},
        {"id": 3, "bbox": [1, 2, 3, 4], "image_id": 581857},
    ],
}


def write(annotations, refs, protocol=2):
    content = refs if isinstance(refs, bytes) else pickle.dumps(refs, protocol=protocol)
    return annotations("refcoco", {"refcoco/refs(unc).p": content, "refcoco/instances.json": INSTANCES})


@pytest.mark.parametrize("protocol", [0, 2])
def test_phrases_come_with_boxes_in_pixels(annotations, protocol):
    refs = [
        ref(0, 1, "train", [(0, "navy blue shirt"), (1, "woman back"), (1, "woman back"), (2, " ")]),
        ref(1, 2, "val", [(3, "flat")]),
        ref(2, 99, "val", [(4, "no box")]),
        ref(3, 3, "testB", [(5, "the left one")]),
    ]
    folder = write(annotations, refs, protocol)
    reading = read(folder)
    assert [(e.id, e.words["expression"], e.box, e.part) for e in reading.records] == [
        ("0", "navy blue shirt", (10.5, 20.0, 100.0, 50.25), "train"),
        ("1", "woman back", (10.5, 20.0, 100.0, 50.25), "train"),
        ("5", "the left one", (1.0, 2.0, 3.0, 4.0), "testB"),
    ]
    assert list(reading.records)[2] == Record(
        "5",
        "000000581857",
        "refcoco",
        words={"expression": "the left one"},
        box=(1.0, 2.0, 3.0, 4.0),
        size=(640, 427),
        kind="place",
        part="testB",
    )
    assert refcoco.images(folder, refcoco.Options()) == {
        "000000581857": "http://images.cocodataset.org/train2014/COCO_train2014_000000581857.jpg"
    }
    assert reading.removed == {
        "duplicate sentence id": 1,
        "phrase is empty": 1,
        "box without area": 1,
        "phrase without box or image": 1,
    }


def test_a_phrase_for_several_boxes_trains_but_is_not_asked(annotations):
    refs = [ref(0, 1, "val", [(0, "the man")]), ref(1, 3, "val", [(1, "The Man")])]
    assert list(read(write(annotations, refs)).records) == []
    refs = [ref(0, 1, "train", [(0, "the man")]), ref(1, 3, "train", [(1, "The Man")])]
    assert len(list(read(write(annotations, refs)).records)) == 2


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL_FOLDER"],)


def test_a_pickle_that_wants_to_run_something_is_refused(annotations, tmp_path, monkeypatch):
    monkeypatch.setenv("EVIL_FOLDER", str(tmp_path / "evil"))
    content = pickle.dumps([ref(0, 1), Evil()], protocol=2)
    with pytest.raises(ValueError, match=r"refs\(unc\)\.p is not a pickle of plain values"):
        read(write(annotations, content))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"<html>", pickle.dumps([ref(0, 1)], protocol=2)[:50]])
def test_a_damaged_pickle_is_named(annotations, content):
    with pytest.raises(ValueError, match=r"refs\(unc\)\.p"):
        read(write(annotations, content))


@pytest.mark.parametrize("box", [[1, 2, 3], ["left", 1, 2, 3], None])
def test_a_box_of_another_layout_is_named_with_what_it_is(annotations, box):
    other = {**INSTANCES, "annotations": [{"id": 1, "bbox": box, "image_id": 581857}]}
    folder = annotations("refcoco", {"refs(unc).p": pickle.dumps([ref(0, 1)], protocol=2), "instances.json": other})
    with pytest.raises(ValueError, match=r"Entry 0 of .*instances\.json has bbox = .*, expected the numbers x, y"):
        read(folder)


def test_an_unknown_split_is_named(annotations):
    with pytest.raises(
        ValueError, match=r"refs\(unc\)\.p has the unknown split 'testC', expected train, val, testA, testB"
    ):
        read(write(annotations, [ref(0, 1, "testC", [(0, "x")])]))
