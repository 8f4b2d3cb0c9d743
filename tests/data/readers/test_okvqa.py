import pytest

from workflow_scripts.data.readers.okvqa import image_url, read_questions


def answers(*words):
    return [
        {"answer_id": n, "answer": w, "raw_answer": f"{w}s", "answer_confidence": "yes"} for n, w in enumerate(words, 1)
    ]


QUESTIONS = {
    "questions": [
        {"image_id": 42, "question": "What is it for?", "question_id": 420},
        {"image_id": 42, "question": "What is it for?", "question_id": 420},
        {"image_id": 43, "question": "Alone?", "question_id": 430},
        {"image_id": 44, "question": "No answers?", "question_id": 440},
    ]
}
ANNOTATIONS = {
    "question_types": {"one": "Vehicles and Transportation"},
    "annotations": [
        {"question_id": 420, "image_id": 42, "question_type": "one", "answers": answers(*"aabbbbccdd")},
        {"question_id": 440, "image_id": 44, "question_type": "one", "answers": []},
    ],
}


def test_questions_are_joined_with_their_ten_answers(annotations):
    folder = annotations(
        "okvqa",
        {
            "OpenEnded_mscoco_val2014_questions.json": QUESTIONS,
            "mscoco_val2014_annotations.json": ANNOTATIONS,
        },
    )
    (question,), removed = read_questions(folder, "val2014")
    assert (question.id, question.image_id, question.category) == ("420", "000000000042", "Vehicles and Transportation")
    assert (len(question.answers), question.answer, question.raw_answer) == (10, "b", "bs")
    assert removed == {"duplicate question id": 1, "question without annotation": 1, "question without answers": 1}
    assert image_url("000000000042", "val2014").endswith("/val2014/COCO_val2014_000000000042.jpg")


def test_answers_of_another_layout_are_named(annotations):
    other = {"annotations": [{"question_id": 420, "answers": [{"answer_id": 1, "text": "a"}]}]}
    files = {"OpenEnded_mscoco_val2014_questions.json": QUESTIONS, "mscoco_val2014_annotations.json": other}
    with pytest.raises(ValueError, match=r"Entry 0 of .*mscoco_val2014_annotations\.json has no field 'answer'"):
        read_questions(annotations("okvqa", files), "val2014")


def test_an_unknown_subset_is_named(tmp_path):
    with pytest.raises(ValueError, match="no subset 'test2015'"):
        read_questions(tmp_path, "test2015")
