import json

import pyarrow.parquet as pq
import pytest

from workflow_scripts.catalogue.data_sets import HoldOut
from workflow_scripts.data import filter_pairs
from workflow_scripts.data.splits import Splits

COCO = ["coco_annotations_2017", "train"]


def image(number):
    return {"id": number, "file_name": f"{number:012d}.jpg", "width": 64, "height": 48}


def caption(number, image_id, text):
    return {"id": number, "image_id": image_id, "caption": text}


@pytest.fixture
def coco(annotations, image_set):
    content = {
        "images": [image(1), image(2), image(3)],
        "annotations": [
            caption(1, 1, "A Red Cat, on a MAT.\n"),
            caption(2, 1, "a red cat, on a mat"),
            caption(3, 2, "..."),
            caption(4, 2, "Two words"),
            caption(5, 2, "one two three four five six seven"),
            caption(6, 3, "The picture is gone"),
            caption(6, 3, "The picture is gone"),
            caption(7, 9, "Nobody has it"),
        ],
    }
    folder = annotations("coco", {"captions_train2017.json": content})
    return [*COCO, folder, image_set("coco_train2017", ["000000000001", "000000000002"], ["000000000003"])]


@pytest.fixture
def web(annotations, image_set):
    folder = annotations(
        "cc", {"Train_GCC-training.tsv": "a boat , at sea .\thttp://h/0.jpg\nx\thttp://h/1.jpg\nno tab\n"}
    )
    return ["conceptual_captions", "train", folder, image_set("conceptual_captions", ["000000000"], ["000000001"])]


def run(tmp_path, *sources, catalogue=None, exclude=None, **settings):
    flags = [str(word) for source in sources for word in ("--source", *source)]
    flags += ["--catalogue", str(catalogue)] if catalogue else []
    flags += ["--exclude", str(exclude)] if exclude else []
    output = tmp_path / "pairs"
    filter_pairs.main([*flags, "--settings", json.dumps(settings), "--output", str(output)])
    return pq.read_table(output / "samples.parquet").to_pylist(), json.loads((output / "manifest.json").read_text())


def test_captions_of_all_sources_are_merged_cleaned_and_every_removal_is_counted(tmp_path, coco, web):
    rows, manifest = run(tmp_path, coco, web, minimum_tokens=3, maximum_tokens=6)
    assert [(row["image"], row["answer"]) for row in rows] == [
        ("coco_train2017/000000000001", "a red cat, on a mat"),
        ("conceptual_captions/000000000", "a boat, at sea"),
    ]
    assert {name: value for name, value in rows[0].items() if value is not None} == {
        "id": "1",
        "image": "coco_train2017/000000000001",
        "query": "",
        "answer": "a red cat, on a mat",
        "task": "caption",
        "data_set": "coco_annotations_2017",
        "kind": "caption",
        "shard": "00000",
    }
    assert manifest["data_sets"] == {"coco_annotations_2017": 1, "conceptual_captions": 1}
    assert manifest["removed"] == {
        "picture could not be fetched": 2,
        "caption is empty": 1,
        "caption is too long": 1,
        "caption is too short": 1,
        "caption of an unknown image": 1,
        "duplicate caption id": 1,
        "line without a tab": 1,
        "same caption for the same picture": 1,
    }
    assert manifest["count"] + sum(manifest["removed"].values()) == 8 + 3
    assert manifest["sources"] == {
        "coco_train2017": {"captions": 8, "of_pictures_not_asked_for": 0, "kept": 1},
        "conceptual_captions": {"captions": 3, "of_pictures_not_asked_for": 0, "kept": 1},
    }
    assert manifest["average_tokens"] == 5.0


def test_captions_can_stay_as_they_were_written(tmp_path, coco):
    rows, _ = run(tmp_path, coco, lower_case_without_punctuation=False)
    assert rows[0]["answer"] == "A Red Cat, on a MAT."


def test_captions_of_another_split_are_not_counted_as_removed(tmp_path, annotations, image_set):
    folder = annotations("flickr8k", {"Flickr8k.token.txt": "a.jpg#0\tA dog 's bone .\nb.jpg#0\tA cat .\n"})
    rows, manifest = run(tmp_path, ["flickr8k", "train", folder, image_set("flickr8k_train", ["a"])])
    assert [(row["image"], row["answer"]) for row in rows] == [("flickr8k_train/a", "a dogs bone")]
    assert manifest["removed"] == {}
    assert manifest["sources"]["flickr8k_train"] == {"captions": 2, "of_pictures_not_asked_for": 1, "kept": 1}


def test_the_same_input_gives_the_same_bytes(tmp_path, coco):
    first = run(tmp_path, coco)[1]
    assert run(tmp_path, coco)[1] == first


def test_a_filter_that_nothing_passes_is_an_error(tmp_path, coco):
    with pytest.raises(ValueError, match=r"No caption passed the filter: .*too short"):
        run(tmp_path, coco, minimum_tokens=50)
    with pytest.raises(ValueError, match=r"minimum_tokens \(9\) exceeds maximum_tokens \(8\)"):
        run(tmp_path, coco, minimum_tokens=9, maximum_tokens=8)


def test_pictures_of_another_set_are_noticed(tmp_path, coco, web):
    with pytest.raises(
        ValueError,
        match=r"holds the image set conceptual_captions, but coco_annotations_2017 \(train\) is about coco_train",
    ):
        run(tmp_path, [*coco[:3], web[3]])


def test_a_data_set_without_captions_is_named(tmp_path, coco):
    with pytest.raises(ValueError, match=r"visual_genome has no records of the task caption; it has vqa, relationship"):
        run(tmp_path, ["visual_genome", *coco[1:]])
    with pytest.raises(ValueError, match="no data set 'coco_annotation_2017'; did you mean coco_annotations_2017"):
        run(tmp_path, ["coco_annotation_2017", *coco[1:]])
    with pytest.raises(ValueError, match="minigpt4 has no records of the task caption"):
        run(tmp_path, ["minigpt4", *coco[1:]])
    with pytest.raises(ValueError, match="--source coco_annotations_2017 dev: a split is one of train, validation"):
        run(tmp_path, ["coco_annotations_2017", "dev", *coco[2:]])


def test_held_out_images_of_a_users_own_data_set_are_left_out(tmp_path, annotations, image_set):
    """A data set with no splits of its own is split by a hash of the ids, as its row says."""
    numbers = range(1, 41)
    content = {"images": [image(n) for n in numbers], "annotations": [caption(n, n, f"cat {n}") for n in numbers]}
    row = {"title": "Mine", "reader": "coco", "tasks": ["caption"], "options": {"file": "mine.json"}}
    row |= {"files": [{"name": "mine.json", "file": "mine.json"}], "hold_out": {"validation": 250, "test": 250}}
    folder = annotations("mine", {"mine.json": content, "rows.yaml": {"data_sets": {"mine": row}}})
    images = image_set("mine", [f"{n:012d}" for n in numbers])
    rows, manifest = run(tmp_path, ["mine", "train", folder, images], catalogue=folder / "rows.yaml")
    held_out = Splits("mine", HoldOut(validation=250, test=250))
    assert {row["image"] for row in rows} == {f"mine/{n:012d}" for n in numbers if held_out.of(f"{n:012d}") == "train"}
    assert manifest["removed"] == {"held out": 40 - len(rows)}
    assert 10 < len(rows) < 30


def test_images_of_an_evaluation_are_left_out(tmp_path, coco):
    (tmp_path / "exclude.json").write_text(json.dumps({"image_sets": {"coco_train2017": {"000000000001": ["asked"]}}}))
    rows, manifest = run(tmp_path, coco, exclude=tmp_path / "exclude.json")
    assert {row["image"] for row in rows} == {"coco_train2017/000000000002"}
    assert manifest["removed"]["picture is one of an evaluation"] == 2
