import importlib.util
import random
from importlib.metadata import distribution

import pytest

from workflow_scripts.evaluation import normalise_answer
from workflow_scripts.evaluation.normalise_answer import (
    contains_answer,
    normalise_for_exact_match,
    normalise_vqa_answer,
    process_vqa_digits_and_articles,
    process_vqa_punctuation,
)


@pytest.fixture(scope="module")
def official():
    """The functions of the official evaluation as LAVIS ships them, without importing all of LAVIS."""
    path = distribution("salesforce-lavis").locate_file("lavis/common/vqa_tools/vqa_eval.py")
    spec = importlib.util.spec_from_file_location("official_vqa_eval", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VQAEval()


def random_answers(count):
    generator = random.Random(7)
    pieces = ["a", "The", "two", "None", "5", "1,000", "3.5", ".", ",", "-", "/", "dont", "isn't", "it's", "yall'd've"]
    pieces += [
        "T-shirt",
        "(red)",
        "what?",
        "!",
        " ",
        "  ",
        "café",
        "犬",
        "e.g.",
        "...",
        "somebody'd",
        "Im",
        "Ive",
        "<=5.",
    ]
    for _ in range(count):
        yield "".join(generator.choice(pieces) + generator.choice(["", " "]) for _ in range(generator.randrange(7)))


def test_vqa_normalisation_equals_the_official_code_on_thousands_of_answers(official):
    for answer in random_answers(20_000):
        assert process_vqa_punctuation(answer) == official.processPunctuation(answer), answer
        assert process_vqa_digits_and_articles(answer) == official.processDigitArticle(answer), answer


def test_every_official_contraction_is_known_and_no_other(official):
    reachable = {word: to for word, to in official.contractions.items() if word == word.lower()}
    assert reachable == normalise_answer._CONTRACTIONS


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The two dogs.", "2 dogs"),
        ("t-shirt", "t shirt"),
        ("t- shirt", "t shirt"),
        ("1,000", "1000"),
        ("3.5", "3.5"),
        ("dont know", "don't know"),
        ("none", "0"),
        ("the a an", ""),
        ("5.", "5"),
        ("1.5.", "1.5"),
        ("3 . 5", "3 5"),
        ("a/b / c", "ab c"),  # one mark beside a space lets all of its kind vanish
        ("1,2 a-b", "12 ab"),  # a number with a comma lets marks of all kinds vanish
        ("-5", "5"),
        ("10:30", "10:30"),
        ("its", "its"),
        ("Im", "im"),  # the table has it with a capital, after all has become lower case
        ("." * 40, "." * 8),  # the official code replaces 32 full stops and no more
    ],
)
def test_vqa_normalisation_of_known_cases(answer, expected):
    assert normalise_vqa_answer(answer) == expected


@pytest.mark.slow  # importing transformers takes the time
def test_exact_match_normalisation_equals_squads_on_ascii():
    from transformers.data.metrics.squad_metrics import normalize_answer

    for answer in random_answers(5_000):
        expected = normalize_answer(answer)
        if answer.isascii() and expected:
            assert normalise_for_exact_match(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("  The  Red,   Kite! ", "red kite"),
        ("«Кошка».", "кошка"),
        ("「犬」", "犬"),
        ("ＡＢＣ", "abc"),
        ("the", "the"),
        ("?", "?"),
        ("", ""),
    ],
)
def test_exact_match_normalisation_of_known_cases(answer, expected):
    assert normalise_for_exact_match(answer) == expected


def test_an_answer_is_contained_as_whole_words_only():
    assert contains_answer("It is a Red cat.", "red")
    assert contains_answer("there are two large dogs", "two large")
    assert not contains_answer("it is coloured", "red")
    assert not contains_answer("two small, large dogs", "two large")
    assert not contains_answer("anything", "")
