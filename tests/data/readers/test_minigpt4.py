from workflow_scripts.data.readers import minigpt4


def test_descriptions_and_pictures_of_the_archive(annotations):
    entries = [
        {"image_id": "2", "caption": "A long  text.\n"},
        {"image_id": "2", "caption": "again"},
        {"image_id": 3, "caption": " "},
        {"image_id": 10, "caption": "B."},
    ]
    files = {"cc_sbu_align/filter_cap.json": {"annotations": entries}, "cc_sbu_align/image/2.jpg": b"x"}
    folder = annotations("minigpt4", {**files, "__MACOSX/cc_sbu_align/filter_cap.json": b"\0"})
    reading = minigpt4.read(folder, minigpt4.Options(), frozenset({"description"}))
    assert [(d.id, d.image_id, d.task, d.answers) for d in reading.records] == [
        ("2", "2", "description", ("A long  text.",)),
        ("10", "10", "description", ("B.",)),
    ]
    assert minigpt4.images(folder, minigpt4.Options()) == {"2": "2.jpg", "10": "10.jpg"}
    assert reading.removed == {"duplicate image id": 1, "description is empty": 1}
