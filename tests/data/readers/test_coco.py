import json

import pytest

from workflow_scripts.data.readers.coco import read_captions


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
    path = tmp_path / "captions_train2017.json"
    path.write_text(json.dumps({"info": {}, "licenses": [], **content}))
    return path


def test_captions_keep_their_words_and_oddities_are_counted(tmp_path):
    annotations = [
        {"image_id": 9, "id": 1, "caption": "A cat.\n"},
        {"image_id": 9, "id": 1, "caption": "A cat.\n"},
        {"image_id": 8, "id": 2, "caption": "no such image"},
        {"image_id": 9, "id": 3, "caption": "猫"},
        {"image_id": 9, "id": 4, "caption": None},
    ]
    content = read_captions(write(tmp_path, images=[image(9), image(9), image(10)], annotations=annotations))
    assert list(content.images) == ["000000000009", "000000000010"]
    assert content.images["000000000009"].url == "http://c/000000000009.jpg"
    assert [(c.id, c.image_id, c.text) for c in content.captions] == [
        ("1", "000000000009", "A cat.\n"),
        ("3", "000000000009", "猫"),
        ("4", "000000000009", ""),
    ]
    assert content.removed == {"duplicate caption id": 1, "caption of an unknown image": 1, "duplicate image id": 1}


def test_an_image_without_address_gets_the_one_of_its_file_name(tmp_path):
    images = [image(5, coco_url=None), {**image(6), "file_name": "COCO_val2014_000000000006.jpg", "coco_url": ""}]
    content = read_captions(write(tmp_path, images=images, annotations=[]))
    assert [i.url for i in content.images.values()] == [
        "http://images.cocodataset.org/train2017/000000000005.jpg",
        "http://images.cocodataset.org/val2014/COCO_val2014_000000000006.jpg",
    ]


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
        read_captions(write(tmp_path, **content))


def test_missing_and_truncated_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"captions_train2017\.json does not exist"):
        read_captions(tmp_path / "captions_train2017.json")
    path = write(tmp_path, images=[image(1)], annotations=[])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"captions_train2017\.json is not valid JSON"):
        read_captions(path)
