import pytest

from workflow_scripts.data.text import (
    caption_of_lavis,
    collapse_whitespace,
    count_tokens,
    expression_kind,
    normalise_answer,
    normalise_caption,
    normalise_query,
    question_kind,
    room_question_kind,
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("A Red Cat, left of a TREE.", "a red cat, left of a tree"),
        ("A dog's bone \n", "a dogs bone"),
        ("the ocean 's surf , it is n't far", "the oceans surf, it isnt far"),
        ("black-and-white photo;of\ta\u00a0boat!!", "black and white photo of a boat"),
        ("one , two ,, three ,", "one, two, three"),
        ("\u201cquoted\u201d \u2014 and $5 + #hash", "quoted and 5 hash"),
        ("Ein Mädchen läuft über die Straße.", "ein mädchen läuft über die straße"),
        ("一只猫，在树上。", "一只猫 在树上"),
        ("a cat\u2028on two lines\u200b", "a cat on two lines"),
        (" .,! ", ""),
    ],
)
def test_captions_lose_case_and_punctuation_but_commas(raw, expected):
    assert normalise_caption(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "A man's hat, on A-B.\n",
        'Two  "red" (and #blue) boats: one; two~ ...!',
        "a caption\non two lines\n",
        " * ",
        "word " * 60,
        "What is this? Don't\t\tknow",
    ],
)
def test_captions_of_retrieval_are_those_that_lavis_s_own_processor_gives(raw):
    from lavis.processors.blip_processors import BlipCaptionProcessor

    assert caption_of_lavis(raw) == BlipCaptionProcessor()(raw)
    assert caption_of_lavis(caption_of_lavis(raw)) == caption_of_lavis(raw)


def test_normalising_twice_changes_nothing():
    once = normalise_caption("The  man's hat , on A-B.")
    assert normalise_caption(once) == once


def test_queries_keep_their_punctuation_and_answers_lose_the_full_stop():
    assert normalise_query(" What IS\nthis? ") == "what is this?"
    assert normalise_answer("In the U.S. Army.") == "in the u.s. army"
    assert collapse_whitespace("a\r\n b\x00c") == "a b c"


def test_tokens_are_words():
    assert (count_tokens("a red cat, left"), count_tokens("")) == (4, 0)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("What color is the cat?", "colour"),
        ("what colour are they?", "colour"),
        ("How many people are there?", "count"),
        ("how big is it?", "size"),
        ("is the cat small or large?", "size"),
        ("where is the cat?", "where"),
        ("where was this picture taken?", "background"),
        ("is there a dog?", "exists"),
        ("is he happy?", "yes_no"),
        ("was it cold?", "yes_no"),
        ("What's this?", "what"),
        ("who is that?", "who"),
        ("which one?", "which"),
        ("", "other"),
        ("name it.", "other"),
    ],
)
def test_the_kind_of_a_question_comes_from_its_words(query, kind):
    assert question_kind(query) == kind


def test_expressions_point_by_place_or_by_appearance():
    assert expression_kind("man on the Left") == "place"
    assert expression_kind("the bright shirt") == "appearance"


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("how many harps are left of the anvil?", "count"),
        ("what is the number of harps?", "count"),
        ("what is the colour of the harp on the right side?", "colour"),
        ("what color are the harps?", "colour"),
        ("what is the red colour object behind the anvil?", "relation"),
        ("what stands between the harps?", "relation"),
        ("what is on the anvil?", "object"),
        ("which object makes music?", "object"),
    ],
)
def test_questions_about_rooms_have_four_kinds(query, kind):
    assert room_question_kind(query) == kind
