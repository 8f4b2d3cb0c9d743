import pytest

from workflow_scripts.data.readers import daquar
from workflow_scripts.data.readers.daquar import natural_question
from workflow_scripts.data.records import reader_options


def read(folder, part="train"):
    return daquar.read(folder, daquar.Options(part=part), frozenset({"vqa"}))


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
    reading = read(tmp_path)
    assert [(q.id, q.image_id, q.query, q.answers, q.kind, q.part) for q in reading.records] == [
        ("1", "image2003", "what stands beside the harp?", ("grand piano",), "relation", "train"),
        ("3", "image2003", "what lies under the anvil?", ("globe, oil can, feather",), "relation", "train"),
        ("8", "image2014", "what stands near the harp?", ("globe",), "relation", "train"),
    ]
    images = daquar.images(tmp_path, daquar.Options(part="train"))
    assert images == {"image2003": "image2003.jpg", "image2014": "image2014.jpg"}
    assert reading.removed == {
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
        read(tmp_path, "test")
    with pytest.raises(
        ValueError, match="own: the option part of the reader daquar: Input should be 'train' or 'test'"
    ):
        reader_options("daquar", {"part": "dev"}, "own")
    path = tmp_path / "qa.894.raw.train.txt"
    path.write_text("harp.jpg#0\tA harp .\n" * 3)
    with pytest.raises(
        ValueError, match=r"qa\.894\.raw\.train\.txt holds no line of the form .*is it the right file\?"
    ):
        read(tmp_path)
    path.write_bytes(b"\xff\xd8\xff\xe0" * 10)
    with pytest.raises(ValueError, match="is not a text file"):
        read(tmp_path)
