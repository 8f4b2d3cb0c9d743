import pytest

from workflow_scripts.data.readers.minigpt4 import image_files, read_descriptions


def test_descriptions_and_pictures_of_the_archive(annotations):
    entries = [
        {"image_id": "2", "caption": "A long  text.\n"},
        {"image_id": "2", "caption": "again"},
        {"image_id": 3, "caption": " "},
        {"image_id": 10, "caption": "B."},
    ]
    files = {"cc_sbu_align/filter_cap.json": {"annotations": entries}, "cc_sbu_align/image/2.jpg": b"x"}
    folder = annotations("minigpt4", {**files, "__MACOSX/cc_sbu_align/filter_cap.json": b"\0"})
    descriptions, removed = read_descriptions(folder)
    assert [(d.image_id, d.text) for d in descriptions] == [("2", "A long  text."), ("10", "B.")]
    assert removed == {"duplicate image id": 1, "description is empty": 1}
    assert list(image_files(folder)) == ["2"]


def test_an_archive_without_pictures_is_named(annotations):
    folder = annotations("minigpt4", {"filter_cap.json": {"annotations": []}})
    with pytest.raises(ValueError, match=r"image holds no \.jpg file"):
        image_files(folder)
