import pytest

from workflow_scripts.data.readers.daquar import natural_question, read_questions

LINES = """what stands beside the harp in the image2003 ?
grand_piano
what lies under the anvil in the image2003 ?
globe,  oil_can, feather
what color is the harp in the image2012 ?

how many anvils are there in the image2012 ?
what stands near the harp in the image2014 ?
globe
anvil
what lies under the harp in the image2015 ?
"""


def test_questions_and_answers_in_turn_and_what_does_not_fit_is_counted(tmp_path):
    (tmp_path / "qa.894.raw.train.txt").write_text(LINES)
    questions, removed = read_questions(tmp_path, "train")
    assert [(q.id, q.image_id, q.query, q.answer) for q in questions] == [
        ("1", "image2003", "what stands beside the harp?", "grand piano"),
        ("3", "image2003", "what lies under the anvil?", "globe, oil can, feather"),
        ("8", "image2014", "what stands near the harp?", "globe"),
    ]
    assert questions[1].answers == ("globe", "oil can", "feather")
    assert removed == {
        "answer is empty": 1,
        "question without an answer": 2,
        "line that is no question and no answer": 1,
    }


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("what stands left of the harp in the image2003 ?", "what stands left of the harp?"),
        ("what is the largest harp in this image2003 ?", "what is the largest harp?"),
        ("how many harps are there in the image2003", "how many harps are there?"),
        ("how many harps are in the image2003 ?", "how many harps are in the image?"),
        ("what stands in the left of the image2104 ?", "what stands in the left of the image?"),
        ("how many harps are in image2012 ?", "how many harps are in the image?"),
        ("what lies on the anvil image2108 ?", "what lies on the anvil?"),
        ("what is left in the image2010 of the harp in the image2010 ?", "what is left in the image of the harp?"),
    ],
)
def test_questions_are_asked_as_people_ask_with_the_picture_before_them(line, question):
    assert natural_question(line) == question


def test_the_wrong_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no file named qa\.894\.raw\.test\.txt"):
        read_questions(tmp_path, "test")
    with pytest.raises(ValueError, match="no subset 'dev'"):
        read_questions(tmp_path, "dev")
    path = tmp_path / "qa.894.raw.train.txt"
    path.write_text("harp.jpg#0\tA harp .\n" * 3)
    with pytest.raises(
        ValueError, match=r"qa\.894\.raw\.train\.txt holds no line of the form .*is it the right file\?"
    ):
        read_questions(tmp_path, "train")
    path.write_bytes(b"\xff\xd8\xff\xe0" * 10)
    with pytest.raises(ValueError, match="is not a text file"):
        read_questions(tmp_path, "train")
