import random
from collections import Counter

import pytest

from workflow_scripts.data.statements import Caption, make_statements

TEMPLATES = ["is this true of the picture: {caption}?"]
CAPTIONS = [Caption(f"{n}#{k}", str(n), f"caption {k} of {n}") for n in range(20) for k in range(5)]


def test_every_caption_is_said_once_rightly_and_once_wrongly_and_pictures_are_asked_equally_often():
    found = make_statements(CAPTIONS, TEMPLATES, random.Random(1))
    assert Counter(item.answer for item in found) == {"yes": 100, "no": 100}
    for answer in ("yes", "no"):
        assert Counter(item.image_id for item in found if item.answer == answer) == dict.fromkeys(
            map(str, range(20)), 5
        )
        assert len({item.query for item in found if item.answer == answer}) == 100
    assert all((f"of {item.image_id}?" in item.query) == (item.answer == "yes") for item in found)
    assert found[0].query == "is this true of the picture: caption 0 of 0?"
    assert len({item.id for item in found}) == 200


def test_words_that_are_true_of_two_pictures_are_false_of_neither():
    captions = [*CAPTIONS, Caption("a", "0", "a dog"), Caption("b", "1", "a dog")]
    for seed in range(20):
        found = make_statements(captions, TEMPLATES, random.Random(seed))
        assert not [item for item in found if item.answer == "no" and "dog" in item.query and item.image_id in "01"]


def test_one_picture_has_nothing_false():
    with pytest.raises(ValueError, match="5 captions of 1 images are too few"):
        make_statements(CAPTIONS[:5], TEMPLATES, random.Random(1))


def test_a_caption_is_worded_alike_where_it_is_true_and_where_it_is_false():
    templates = ["is this true: {caption}?", "true or not: {caption}?"]
    found = make_statements(CAPTIONS, templates, random.Random(1))
    assert {item.query.split(":")[0] for item in found} == {"is this true", "true or not"}
    assert all(one.query == other.query for one, other in zip(found[::2], found[1::2], strict=True))
