import pytest

from workflow_scripts.data.readers import vqa
from workflow_scripts.data.records import Record, reader_options

URL = "http://images.cocodataset.org/val2014/COCO_val2014_{:012d}.jpg"


def options(**more):
    names = {
        "questions": "OpenEnded_mscoco_val2014_questions.json",
        "annotations": "mscoco_val2014_annotations.json",
        "image": URL,
        "task": "okvqa",
        "part": "val",
    }
    return reader_options("vqa", {**names, **more}, "okvqa")


def read(folder, **more):
    return vqa.read(folder, options(**more), frozenset({options(**more).task}))


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
    reading = read(folder)
    (question,) = reading.records
    assert (question.id, question.image_id, question.task) == ("420", "000000000042", "okvqa")
    assert (question.kind, question.part) == ("vehicles and transportation", "val")
    assert (len(question.answers), question.answer, question.said) == (10, "b", "bs")
    assert reading.removed == {
        "duplicate question id": 1,
        "question without annotation": 1,
        "question without answers": 1,
    }
    assert vqa.images(folder, options()) == {"000000000042": URL.format(42)}


def test_answers_of_another_layout_are_named(annotations):
    other = {"annotations": [{"question_id": 420, "answers": [{"answer_id": 1, "text": "a"}]}]}
    files = {"OpenEnded_mscoco_val2014_questions.json": QUESTIONS, "mscoco_val2014_annotations.json": other}
    with pytest.raises(ValueError, match=r"Entry 0 of .*mscoco_val2014_annotations\.json has no field 'answer'"):
        read(annotations("okvqa", files))


V2 = {
    "questions": "v2_OpenEnded_mscoco_train2014_questions.json",
    "annotations": "v2_mscoco_train2014_annotations.json",
    "image": "COCO_train2014_{:012d}.jpg",
    "task": "vqa",
    "part": "train",
}


def test_the_official_files_of_vqa_v2_are_read(annotations):
    head = {
        "info": {"description": "This is v2.0 of the VQA dataset.", "version": "2.0", "year": 2017},
        "license": {"url": "http://creativecommons.org/licenses/by/4.0/", "name": "CC BY 4.0"},
        "data_type": "mscoco",
        "data_subtype": "train2014",
    }
    said = ["net", "net", "net", "netting", "net", "net", "mesh", "net", "net", "net"]
    annotation = {
        "question_type": "What is this",
        "multiple_choice_answer": "net",
        "answers": [{"answer": one, "answer_confidence": "maybe", "answer_id": n} for n, one in enumerate(said, 1)],
        "image_id": 458752,
        "answer_type": "other",
        "question_id": 458752000,
    }
    question = {"image_id": 458752, "question": "What is this photo taken looking through?", "question_id": 458752000}
    files = {
        V2["questions"]: {**head, "task_type": "Open-Ended", "questions": [question]},
        V2["annotations"]: {**head, "annotations": [annotation]},
    }
    folder = annotations("vqa_v2", files)
    reading = read(folder, **V2)
    assert list(reading.records) == [
        Record(
            "458752000",
            "000000458752",
            "vqa",
            "What is this photo taken looking through?",
            tuple(said),
            kind="what is this",
            part="train",
        )
    ]
    assert next(iter(reading.records)).said == "net"
    assert vqa.images(folder, options(**V2)) == {"000000458752": "COCO_train2014_000000458752.jpg"}


def test_a_part_without_published_answers_has_images_and_says_so_when_it_is_asked(annotations):
    folder = annotations("vqa_v2", {V2["questions"]: QUESTIONS})
    test = {**V2, "annotations": None}
    assert list(vqa.images(folder, options(**test))) == ["000000000042", "000000000043", "000000000044"]
    with pytest.raises(
        ValueError, match=r"The questions of v2_.*_questions\.json have no answers: the reader vqa reads"
    ):
        read(folder, **test)


def test_an_image_is_named_by_its_id_where_nothing_else_is_said(annotations):
    entries = {"questions": [{"image_id": "living-room", "question": "?", "question_id": 1}]}
    folder = annotations("own", {"own.json": entries})
    own = reader_options("vqa", {"questions": "own.json"}, "own")
    assert vqa.images(folder, own) == {"living-room": "living-room.jpg"}
    with pytest.raises(ValueError, match=r"image_id = 'living-room', expected a whole number"):
        vqa.images(folder, own.model_copy(update={"image": URL}))


@pytest.mark.parametrize("image", ["a.jpg", "{}{}.jpg", "{id}.jpg", "{.jpg", "{:012q}.jpg"])
def test_a_pattern_without_a_place_for_the_id_is_named(image):
    with pytest.raises(
        ValueError, match=r"okvqa: the option image of the reader vqa: .* needs one place for the image's id"
    ):
        options(image=image)


def test_an_unknown_option_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="okvqa: the reader vqa has no option question; did you mean questions"):
        options(question="a.json")
