"""The real corpora, where a folder `shared` beside the project has them; nothing of them is part of the project."""

from pathlib import Path

import pytest

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.data.readers import daquar, flickr8k
from workflow_scripts.data.splits import Splits

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def rooms():
    if not (SHARED / "daquar" / "qa.894.raw.train.txt").is_file():
        pytest.skip("DAQUAR is not there: ../shared/daquar")
    return SHARED / "daquar"


@pytest.fixture
def photographs():
    if not (SHARED / "flickr8k" / "Flickr8k.token.txt").is_file():
        pytest.skip("Flickr8k is not there: ../shared/flickr8k")
    return SHARED / "flickr8k"


def test_all_questions_about_rooms_are_read(rooms):
    reading = daquar.read(rooms, daquar.Options(part="train"), frozenset({"vqa"}))
    questions = list(reading.records)
    assert (len(questions), reading.removed) == (6795, {})
    there = daquar.images(rooms, daquar.Options(part="train"))
    assert all((rooms / "images" / name).is_file() for name in there.values())
    splits = Splits("daquar_train", load_catalogue().image_set("daquar_train").hold_out)
    assert 0.2 < [splits.of(key) for key in there].count("validation") / len(there) < 0.3
    assert not [question.query for question in questions if any(char.isdigit() for char in question.query[-6:])]
    assert {question.kind for question in questions} == {"object", "colour", "count", "relation"}


def test_all_captions_and_splits_are_read(photographs):
    reading = flickr8k.read(photographs, flickr8k.Options(part="train"), frozenset({"caption"}))
    captions = list(reading.records)
    assert (len(captions), reading.removed) == (35455, {})
    described = {caption.image_id for caption in captions}
    for part, count in (("train", 6000), ("validation", 1000)):
        there = flickr8k.images(photographs, flickr8k.Options(part=part))
        assert len(there) == count
        assert there.keys() <= described
        assert all((photographs / "images" / name).is_file() for name in there.values())
