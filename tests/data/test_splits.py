import json

import pytest

from workflow_scripts.catalogue.data_sets import HoldOut
from workflow_scripts.data.records import Record
from workflow_scripts.data.splits import Splits


def record(image_id, part=""):
    return Record("1", image_id, "vqa", part=part)


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"set": {"train": ["1"], "test": ["2"]}}))
    return path


def test_a_file_decides(listed):
    splits = Splits("set", HoldOut(), path=listed)
    assert [splits.of(key) for key in ("1", "2", "3")] == ["train", "test", ""]
    assert [splits.keep(record(key), "train") for key in ("1", "2", "3")] == [True, False, False]
    assert [splits.keep(record(key), "test") for key in ("1", "2", "3")] == [False, True, False]


def test_a_set_that_nothing_splits_trains_with_all_and_is_asked_about_as_a_file_says(listed):
    splits = Splits("set", None, path=listed)
    assert all(splits.keep(record(key), "train") for key in ("1", "2", "3"))
    assert [key for key in ("1", "2", "3") if splits.keep(record(key), "test")] == ["2"]
    other = Splits("other", None, path=listed)
    assert all(other.keep(record(key), split) for key in ("1", "2") for split in ("train", "validation", "test"))


def test_without_one_the_id_decides_for_ever():
    splits = Splits("set", HoldOut())
    found = [splits.of(str(number)) for number in range(10_000)]
    assert found == [Splits("other", HoldOut()).of(str(number)) for number in range(10_000)]
    assert 400 < found.count("test") < 600
    assert 400 < found.count("validation") < 600
    assert [splits.keep(record(str(number)), "test") for number in range(10_000)] == [one == "test" for one in found]


def test_as_many_are_held_out_as_the_image_set_says():
    splits = Splits("rooms", HoldOut(validation=250, test=0))
    found = [splits.of(f"image{number}") for number in range(10_000)]
    assert 2300 < found.count("validation") < 2700
    assert found.count("test") == 0


def test_records_are_of_the_parts_that_the_split_is(listed):
    splits = Splits("set", None, ["val", "testA"], listed)
    assert [splits.keep(record("2", part), "test") for part in ("train", "val", "testA", "")] == [0, 1, 1, 1]
    assert not splits.keep(record("1", "val"), "test"), "the file has a say too"


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": ["1"], "test": ["1"]}, "two splits"),
        ({"training": ["1"]}, "unknown split 'training' for set, expected train"),
    ],
)
def test_a_contradiction_is_an_error(tmp_path, lists, message):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"set": lists}))
    with pytest.raises(ValueError, match=message):
        Splits("set", path=path)
