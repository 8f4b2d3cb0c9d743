import pytest

from workflow_scripts.data.readers import gqa

FILE = "testdev_balanced_questions.json"
OPTIONS = gqa.Options(file=FILE)
VQA = frozenset({"vqa"})


def question(text="Is it overcast?", answer="no", image="n161313", **more):
    types = {"detailed": "existAttr", "semantic": "attr", "structural": "verify"}
    return {"question": text, "answer": answer, "imageId": image, "isBalanced": True, "types": types, **more}


def test_questions_stand_under_their_ids_with_pictures_that_are_no_numbers(annotations):
    content = {
        "201307251": question(),
        "201640614": question("Who is wearing the dress?", "woman", "2354453", types={"structural": "query"}),
        "3": question(answer=" "),
        "4": question("What is it?", "chair", 7, types=None),
    }
    folder = annotations("gqa", {FILE: content})
    reading = gqa.read(folder, OPTIONS, VQA)
    assert [(one.id, one.image_id, one.query, one.answer, one.kind) for one in reading.records] == [
        ("201307251", "n161313", "Is it overcast?", "no", "verify"),
        ("201640614", "2354453", "Who is wearing the dress?", "woman", "query"),
        ("4", "7", "What is it?", "chair", None),
    ]
    images = gqa.images(folder, OPTIONS)
    assert images == {"n161313": "n161313.jpg", "2354453": "2354453.jpg", "7": "7.jpg"}
    assert reading.removed == {"question or answer is empty": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([question()], "should hold an object of questions"),
        ({"1": "What?"}, "Entry '1' of .* is not an object"),
        ({"1": {"question": "What?", "answer": "no"}}, "has no field 'imageId'"),
        ("{", "is not valid JSON"),
    ],
)
def test_another_layout_is_named(annotations, content, message):
    with pytest.raises(ValueError, match=message):
        gqa.read(annotations("gqa", {FILE: content}), OPTIONS, VQA)
