import pytest

from workflow_scripts.data.readers import visual_genome

OPTIONS = visual_genome.Options()


def read(folder, *tasks):
    return visual_genome.read(folder, OPTIONS, frozenset(tasks))


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
                    "coco_id": 9,
                    "url": "https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg",
                    "width": 800,
                    "height": 600,
                },
                {"id": 2, "url": "https://cs.stanford.edu/people/rak248/VG_100K/2.jpg", "width": 80, "height": 60},
                {"image_id": 1, "url": "https://elsewhere/1.jpg", "width": 1, "height": 1},
            ]
        },
    )
    assert visual_genome.images(folder, OPTIONS) == {
        "1": "https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg",
        "2": "https://cs.stanford.edu/people/rak248/VG_100K/2.jpg",
    }
    assert visual_genome.twins(folder, OPTIONS) == {"1": "000000000009"}


def test_questions_with_duplicates_and_empty_ones(annotations):
    entries = [
        {"id": 1, "qas": [qa(1), qa(1), qa(2, answer=""), qa(3, question=" "), qa(4, "Who?", "A man.")]},
        {"id": 2, "qas": []},
    ]
    reading = read(annotations("vg", {"question_answers.json": entries}), "vqa")
    assert [(q.id, q.image_id, q.task, q.query, q.answers) for q in reading.records] == [
        ("qa-1", "1", "vqa", "What is it?", ("Red.",)),
        ("qa-4", "1", "vqa", "Who?", ("A man.",)),
    ]
    assert reading.removed == {"duplicate question id": 1, "question or answer is empty": 2}


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
    reading = read(annotations("vg", {"relationships.json": entries}), "relationship")
    assert [(r.id, r.task, r.query, r.answers, r.words) for r in reading.records] == [
        ("relationship-1", "relationship", "", ("man rides horse",), {"subject": "man", "object": "horse"}),
        ("relationship-5", "relationship", "", ("horse IN grass",), {"subject": "horse", "object": "grass"}),
    ]
    assert reading.removed == {
        "duplicate relationship id": 1,
        "object without a name": 2,
        "predicate is empty": 1,
        "image without relationships": 1,
    }


def test_relationships_of_version_1_2_have_a_file_name_of_their_own(annotations):
    entries = [{"image_id": 1, "relationships": [relationship(1, {"name": "man"}, {"name": "horse"}, "rides")]}]
    folder = annotations("vg", {"relationships_v1_2.json": entries})
    assert [one.answer for one in read(folder, "relationship").records] == ["man rides horse"]


def test_questions_and_relationships_are_one_data_set_whose_ids_differ(annotations):
    related = [{"image_id": 1, "relationships": [relationship(1, {"name": "man"}, {"name": "horse"})]}]
    files = {"question_answers.json": [{"id": 1, "qas": [qa(1)]}], "relationships.json": related}
    reading = read(annotations("vg", files), "relationship", "vqa")
    assert [(one.id, one.task) for one in reading.records] == [("qa-1", "vqa"), ("relationship-1", "relationship")]


def test_another_layout_is_named(annotations):
    folder = annotations("vg", {"question_answers.json": {"data": []}, "image_data.json": [{"url": "x"}]})
    with pytest.raises(ValueError, match=r"question_answers\.json should hold a list"):
        read(folder, "vqa")
    with pytest.raises(ValueError, match=r"Entry 0 .* no field 'image_id'"):
        visual_genome.images(folder, OPTIONS)
    images = [{"image_id": 1, "url": "http://h/1.jpg", "width": 8, "height": 6, "coco_id": "none"}]
    with pytest.raises(ValueError, match=r"image_data\.json has coco_id = 'none', expected a whole number"):
        visual_genome.twins(annotations("odd", {"image_data.json": images}), OPTIONS)
    with pytest.raises(ValueError, match=r"no file named relationships\.json or relationships_v1_2\.json"):
        read(folder, "relationship")
