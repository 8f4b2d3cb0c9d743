import pytest

from workflow_scripts.data.readers.visual_genome import read_images, read_questions, read_relationships


def qa(number, question="What is it?", answer="Red.", image=1):
    return {
        "qa_id": number,
        "image_id": image,
        "question": question,
        "answer": answer,
        "a_objects": [],
        "q_objects": [],
    }


def relationship(number, subject, object_, predicate="ON"):
    return {"relationship_id": number, "subject": subject, "object": object_, "predicate": predicate, "synsets": []}


def test_images_of_both_folders_and_of_both_versions(annotations):
    folder = annotations(
        "vg",
        {
            "image_data.json": [
                {
                    "image_id": 1,
                    "url": "https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg",
                    "width": 800,
                    "height": 600,
                },
                {"id": 2, "url": "https://cs.stanford.edu/people/rak248/VG_100K/2.jpg", "width": 80, "height": 60},
                {"image_id": 1, "url": "https://elsewhere/1.jpg", "width": 1, "height": 1},
            ]
        },
    )
    images, removed = read_images(folder)
    assert {key: (i.width, i.url.split("/")[-2]) for key, i in images.items()} == {
        "1": (800, "VG_100K_2"),
        "2": (80, "VG_100K"),
    }
    assert removed == {"duplicate image id": 1}


def test_questions_with_duplicates_and_empty_ones(annotations):
    entries = [
        {"id": 1, "qas": [qa(1), qa(1), qa(2, answer=""), qa(3, question=" "), qa(4, "Who?", "A man.")]},
        {"id": 2, "qas": []},
    ]
    questions, removed = read_questions(annotations("vg", {"question_answers.json": entries}))
    assert [(q.id, q.image_id, q.query, q.answer) for q in questions] == [
        ("1", "1", "What is it?", "Red."),
        ("4", "1", "Who?", "A man."),
    ]
    assert removed == {"duplicate question id": 1, "question or answer is empty": 2}


def test_relationships_with_either_way_to_name_things(annotations):
    man, horse = {"name": "man", "object_id": 1}, {"names": ["horse ", "pony"], "object_id": 2}
    entries = [
        {
            "image_id": 1,
            "relationships": [
                relationship(1, man, horse, " rides "),
                relationship(1, man, horse),
                relationship(2, man, {"names": []}),
                relationship(3, {"object_id": 4}, horse),
                relationship(4, man, horse, ""),
                relationship(5, horse, {"name": None, "names": ["grass"]}, "IN"),
            ],
        },
        {"image_id": 2, "relationships": []},
    ]
    relationships, removed = read_relationships(annotations("vg", {"relationships.json": entries}))
    assert [(r.id, r.subject, r.predicate, r.object) for r in relationships] == [
        ("1", "man", "rides", "horse"),
        ("5", "horse", "IN", "grass"),
    ]
    assert removed == {
        "duplicate relationship id": 1,
        "object without a name": 2,
        "predicate is empty": 1,
        "image without relationships": 1,
    }


def test_relationships_of_version_1_2_have_a_file_name_of_their_own(annotations):
    entries = [{"image_id": 1, "relationships": [relationship(1, {"name": "man"}, {"name": "horse"}, "rides")]}]
    relationships, _ = read_relationships(annotations("vg", {"relationships_v1_2.json": entries}))
    assert [(one.subject, one.predicate, one.object) for one in relationships] == [("man", "rides", "horse")]


def test_another_layout_is_named(annotations):
    folder = annotations("vg", {"question_answers.json": {"data": []}, "image_data.json": [{"url": "x"}]})
    with pytest.raises(ValueError, match=r"question_answers\.json should hold a list"):
        read_questions(folder)
    with pytest.raises(ValueError, match=r"Entry 0 .* no field 'image_id'"):
        read_images(folder)
    images = [{"image_id": 1, "url": "http://h/1.jpg", "width": 8, "height": 6, "coco_id": "none"}]
    with pytest.raises(ValueError, match=r"image_data\.json has coco_id = 'none', expected a whole number"):
        read_images(annotations("odd", {"image_data.json": images}))
    with pytest.raises(ValueError, match=r"no file named relationships\.json or relationships_v1_2\.json"):
        read_relationships(folder)
