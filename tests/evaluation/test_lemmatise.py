import pytest

from workflow_scripts.evaluation.lemmatise import lemmatise

FORMS = {
    "dogs cats horses": "dog cat horse",
    "cities boxes benches tomatoes shoes buses": "city box bench tomato shoe bus",
    "men children people feet wolves geese": "man child person foot wolf goose",
    "running swimming skiing surfing looking falling eating": "run swim ski surf look fall eat",
    "riding skating baking dancing closing exercising managing": "ride skate bake dance close exercise manage",
    "played parked stopped carried raised used": "play park stop carry raise use",
    "rode standing flown": "ride stand fly",
}


@pytest.mark.parametrize(("words", "expected"), FORMS.items())
def test_inflected_words_become_their_base_forms(words, expected):
    assert lemmatise(words) == expected


@pytest.mark.parametrize("words", FORMS.values())
def test_base_forms_stay_what_they_are(words):
    assert lemmatise(words) == words


@pytest.mark.parametrize(
    "word", ["king", "red", "bed", "seed", "grass", "bus", "tennis", "wedding", "this", "1990s", "犬", "u.s", ""]
)
def test_words_that_only_look_inflected_stay(word):
    assert lemmatise(word) == word
