import json

import pytest

from workflow_scripts.data.readers import coco
from workflow_scripts.data.records import Record

FILE = "captions_train2017.json"
CAPTION = frozenset({"caption"})


def read(folder):
    return coco.read(folder, coco.Options(file=FILE), CAPTION)


def images_of(folder):
    return coco.images(folder, coco.Options(file=FILE))


def image(number, **more):
    name = f"{number:012d}.jpg"
    return {
        "id": number,
        "file_name": name,
        "width": 640,
        "height": 480,
        "license": 1,
        "coco_url": f"http://c/{name}",
        **more,
    }


def write(tmp_path, **content):
    (tmp_path / FILE).write_text(json.dumps({"info": {}, "licenses": [], **content}))
    return tmp_path


def test_captions_keep_their_words_and_oddities_are_counted(tmp_path):
    annotations = [
        {"image_id": 9, "id": 1, "caption": "A cat.\n"},
        {"image_id": 9, "id": 1, "caption": "A cat.\n"},
        {"image_id": 8, "id": 2, "caption": "no such image"},
        {"image_id": 9, "id": 3, "caption": "猫"},
        {"image_id": 9, "id": 4, "caption": None, "group": "a"},
    ]
    folder = write(tmp_path, images=[image(9), image(9), image(10)], annotations=annotations)
    reading = read(folder)
    assert list(reading.records) == [
        Record("1", "000000000009", "caption", answers=("A cat.\n",)),
        Record("3", "000000000009", "caption", answers=("猫",)),
        Record("4", "000000000009", "caption", answers=("",), group="a"),
    ]
    assert images_of(folder) == {key: f"http://c/{key}.jpg" for key in ("000000000009", "000000000010")}
    assert reading.removed == {"duplicate caption id": 1, "caption of an unknown image": 1, "duplicate image id": 1}


def test_an_image_without_address_gets_the_one_of_its_file_name(tmp_path):
    images = [image(5, coco_url=None), {**image(6), "file_name": "COCO_val2014_000000000006.jpg", "coco_url": ""}]
    assert list(images_of(write(tmp_path, images=images, annotations=[])).values()) == [
        "http://images.cocodataset.org/train2017/000000000005.jpg",
        "http://images.cocodataset.org/val2014/COCO_val2014_000000000006.jpg",
    ]


def test_no_address_is_of_the_host_that_has_been_dead_since_2017(tmp_path):
    images = [
        {**image(98304), "file_name": "COCO_train2014_000000098304.jpg", "coco_url": "http://mscoco.org/images/98304"},
        image(5, coco_url="http://www.mscoco.org/images/5"),
        {**image(6), "file_name": "COCO_val2014_000000000006.jpg", "coco_url": "https://elsewhere/6.jpg"},
    ]
    assert list(images_of(write(tmp_path, images=images, annotations=[])).values()) == [
        "http://images.cocodataset.org/train2014/COCO_train2014_000000098304.jpg",
        "http://images.cocodataset.org/train2017/000000000005.jpg",
        "http://images.cocodataset.org/val2014/COCO_val2014_000000000006.jpg",
    ]
    (tmp_path / FILE).rename(tmp_path / "captions_val2017.json")
    of_val = coco.images(tmp_path, coco.Options(file="captions_val2017.json"))
    assert of_val["000000000005"] == "http://images.cocodataset.org/val2017/000000000005.jpg"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": [], "annotation": []}, "a list under 'annotations'"),
        ({"images": [image(1)], "annotations": [{"image_id": 1, "id": 2}]}, "Entry 0 .* no field 'caption'"),
        ({"images": ["x"], "annotations": []}, "Entry 0 .* is not an object"),
        ({"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": []}, "Entry 0 .* no field 'width'"),
        (
            {"images": [image(1, height="tall")], "annotations": []},
            r"Entry 0 of .*captions_train2017\.json has height = 'tall', expected a whole number",
        ),
        ({"images": [image(1)], "annotations": [{"image_id": "a.jpg", "id": 2, "caption": "x"}]}, "image_id = 'a.jpg'"),
    ],
)
def test_another_layout_is_named_with_its_place(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(write(tmp_path, **content))


def test_missing_and_truncated_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no file named captions_train2017\.json; fetch the data set again"):
        read(tmp_path)
    path = write(tmp_path, images=[image(1)], annotations=[]) / FILE
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"captions_train2017\.json is not valid JSON"):
        read(tmp_path)


def test_a_task_that_a_data_set_has_not_is_named(tmp_path):
    folder = write(tmp_path, images=[image(1)], annotations=[])
    with pytest.raises(
        ValueError, match=r"no records of the task vqa here, but of caption; correct the data set's row"
    ):
        coco.read(folder, coco.Options(file=FILE), frozenset({"vqa"}))
