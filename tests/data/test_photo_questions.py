import json

import pyarrow.parquet as pq
import pytest

from workflow_scripts.data import build_benchmark
from workflow_scripts.data.splits import Splits

ROOMS = [f"image{number}" for number in range(2001, 2041)]
HELD_OUT = [room for room in ROOMS if Splits("daquar_train").of(room) == "validation"]


def run(tmp_path, benchmark, name, folder, images, *more, **settings):
    output = tmp_path / "benchmark"
    flags = {"--benchmark": benchmark, "--image-set": name, "--annotations": folder, "--images": images}
    flags |= {"--settings": json.dumps(settings), "--output": output}
    build_benchmark.main([*(str(word) for flag in flags.items() for word in flag), *map(str, more)])
    rows = pq.read_table(output / "questions.parquet").to_pylist()
    return rows, json.loads((output / "manifest.json").read_text())


@pytest.fixture
def rooms(annotations, image_set):
    lines = "".join(
        f"what lies on the Anvil in the {room} ?\noil_can, globe\nhow many harps are left of it in the {room} ?\n2\n"
        for room in ROOMS
    )
    folder = annotations("daquar", {"qa.894.raw.train.txt": lines, "qa.894.raw.test.txt": lines})
    return folder, image_set("daquar_train", ROOMS)


@pytest.mark.parametrize("word", ["validation", "dev"])
def test_rooms_of_the_training_file_are_asked_about_where_they_are_held_out(tmp_path, rooms, word):
    rows, manifest = run(tmp_path, "daquar", "daquar_train", *rooms, "--split", word)
    assert {row["image"] for row in rows} == {f"daquar_train/{room}" for room in HELD_OUT}
    assert manifest["split"] == "validation"
    assert manifest["kinds"] == {"count": len(HELD_OUT), "object": len(HELD_OUT)}
    row = rows[0]
    assert (row["query"], row["answer"], row["answers"]) == (
        "what lies on the anvil?",
        "oil can, globe",
        ["oil can, globe"],
    )
    assert (row["task"], row["kind"]) == ("vqa", "object")


def test_all_of_the_test_file_is_asked(tmp_path, rooms, image_set):
    rows, _ = run(tmp_path, "daquar", "daquar_test", rooms[0], image_set("daquar_test", ROOMS), "--split", "test")
    assert len(rows) == 80
    assert {row["image"] for row in rows} == {f"daquar_test/{room}" for room in ROOMS}


def test_the_training_file_has_no_test_split(tmp_path, rooms):
    with pytest.raises(ValueError, match=r"There is no question about daquar_train \(test\)"):
        run(tmp_path, "daquar", "daquar_train", *rooms, "--split", "test")


@pytest.fixture
def photographs(annotations, image_set):
    lines = "".join(f"p{n}.jpg#{k}\tA harp , number {n} and {k} .\n" for n in range(6) for k in range(5))
    names = [f"p{n}" for n in range(4)]
    return annotations("flickr8k", {"Flickr8k.token.txt": lines}), image_set("flickr8k_validation", names, ["p4"])


@pytest.mark.parametrize("benchmark", ["flickr8k_captions", "flickr8k_retrieval"])
def test_photographs_are_described_without_a_query_by_five_people(tmp_path, photographs, benchmark):
    rows, manifest = run(tmp_path, benchmark, "flickr8k_validation", *photographs, "--split", "dev")
    assert [row["image"] for row in rows] == [f"flickr8k_validation/p{n}" for n in range(4)]
    assert rows[0]["query"] == ""
    assert rows[0]["answers"] == [f"a harp, number 0 and {k}" for k in range(5)]
    assert manifest["removed"] == {"picture could not be fetched": 5}


def test_statements_are_balanced_and_about_the_pictures_that_are_there(tmp_path, photographs):
    rows, manifest = run(tmp_path, "flickr8k_is_true", "flickr8k_validation", *photographs, questions=12)
    assert manifest["tasks"] == {"is_true": 12}
    assert manifest["kinds"] == {"no": 6, "yes": 6}
    assert {row["image"] for row in rows} <= {f"flickr8k_validation/p{n}" for n in range(4)}
    for row in rows:
        own = f"number {row['image'][-1]} and" in row["query"]
        assert row["answer"] == ("yes" if own else "no")
    with pytest.raises(ValueError, match=r"wants 41 questions .*20 captions give 40"):
        run(tmp_path, "flickr8k_is_true", "flickr8k_validation", *photographs, questions=41)
