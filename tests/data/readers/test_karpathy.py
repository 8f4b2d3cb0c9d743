import pytest

from workflow_scripts.data.readers import karpathy
from workflow_scripts.data.records import reader_options


def read(folder, part="test"):
    return karpathy.read(folder, karpathy.Options(part=part), frozenset({"caption"}))


def images_of(folder, part="test"):
    return karpathy.images(folder, karpathy.Options(part=part))


def entry(cocoid, split, *sentences, year="val2014"):
    return {
        "filepath": year,
        "sentids": [number for number, _ in sentences],
        "filename": f"COCO_{year}_{cocoid:012d}.jpg",
        "imgid": 0,
        "split": split,
        "sentences": [
            {"tokens": text.split(), "raw": text, "imgid": 0, "sentid": number} for number, text in sentences
        ],
        "cocoid": cocoid,
    }


def test_a_part_has_its_pictures_with_addresses_and_raw_captions(annotations):
    images = [
        entry(391895, "test", (1, "A man with a red helmet\non a bike. "), (2, "Ein Mann \u4eba")),
        entry(522418, "restval", (3, "A woman")),
        entry(184613, "train", (4, "A child"), year="train2014"),
        entry(391895, "test", (5, "the same picture again")),
        entry(60623, "test", (1, "a caption number that was there"), (6, "A girl")),
    ]
    folder = annotations("karpathy", {"dataset_coco.json": {"images": images, "dataset": "coco"}})
    assert images_of(folder) == {
        "000000391895": "http://images.cocodataset.org/val2014/COCO_val2014_000000391895.jpg",
        "000000060623": "http://images.cocodataset.org/val2014/COCO_val2014_000000060623.jpg",
    }
    reading = read(folder)
    assert [(caption.id, caption.image_id, caption.answers, caption.part) for caption in reading.records] == [
        ("1", "000000391895", ("A man with a red helmet\non a bike. ",), "test"),
        ("2", "000000391895", ("Ein Mann \u4eba",), "test"),
        ("6", "000000060623", ("A girl",), "test"),
    ]
    assert reading.removed == {"duplicate image id": 1, "duplicate caption id": 1}
    assert images_of(folder, "train")["000000184613"].endswith("/train2014/COCO_train2014_000000184613.jpg")


def test_unknown_parts_are_named(annotations):
    folder = annotations("karpathy", {"dataset_coco.json": {"images": [entry(1, "dev", (1, "A"))]}})
    with pytest.raises(
        ValueError, match="option part of the reader karpathy: Input should be 'train', 'restval', 'val'"
    ):
        reader_options("karpathy", {"part": "testA"}, "own")
    with pytest.raises(
        ValueError, match=r"Entry 0 of .*dataset_coco\.json is in the unknown split 'dev', expected train, restval"
    ):
        read(folder)


def test_the_file_of_another_data_set_is_named(annotations):
    flickr = {"images": [{"split": "test", "filename": "1.jpg", "sentences": []}], "dataset": "flickr8k"}
    with pytest.raises(ValueError, match="has no field 'cocoid'; the layout has changed"):
        read(annotations("karpathy", {"dataset_coco.json": flickr}))
