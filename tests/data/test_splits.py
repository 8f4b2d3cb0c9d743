import json

import pytest

from workflow_scripts.data.splits import Splits


def test_a_file_decides(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"set": {"train": ["1"], "test": ["2"]}}))
    splits = Splits("set", path)
    assert [splits.of(key) for key in ("1", "2", "3")] == ["train", "test", ""]
    assert splits.listed


def test_without_one_the_id_decides_for_ever():
    splits = Splits("set")
    found = [splits.of(str(number)) for number in range(10_000)]
    assert found == [Splits("other").of(str(number)) for number in range(10_000)]
    assert 400 < found.count("test") < 600
    assert 400 < found.count("validation") < 600
    assert not splits.listed


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
        Splits("set", path)


def test_a_quarter_of_the_rooms_is_held_out_for_validation_and_none_for_test():
    found = [Splits("daquar_train").of(f"image{number}") for number in range(10_000)]
    assert 2300 < found.count("validation") < 2700
    assert found.count("test") == 0
