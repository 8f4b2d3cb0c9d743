import threading
from types import SimpleNamespace

import pytest
from PIL import Image

from workflow_scripts.demo.page import Handlers, build_page, draw_box, message, note, sentence

VISITOR = SimpleNamespace(session_hash="one", query_params={})
EVIL = "<script>alert(1)</script> </s>"


@pytest.fixture(scope="module")
def handlers(system):
    return Handlers(system)


def first_picture(handlers):
    _, rows, _ = handlers.search("a red cat")
    return handlers.choose(rows, SimpleNamespace(index=0))[0]


def ask(handlers, seen, question, talk=()):
    adaptor = handlers.system.conversation.adaptors[0]
    return list(handlers.answer(question, seen, list(talk), adaptor, 1, 0.0, 6, VISITOR))


def test_a_search_gives_the_best_pictures_of_the_index(handlers):
    gallery, rows, said = handlers.search("a red cat")
    assert len(gallery.value["root"] if isinstance(gallery.value, dict) else gallery.value) == 15
    assert rows == [hit.row for hit in handlers.system.search("a red cat")]
    assert "15 of 18" in said


def test_the_page_opens_with_the_query_of_its_address(handlers):
    opened = handlers.greet(SimpleNamespace(query_params={"q": "a blue kite"}))
    assert opened[0] == "a blue kite"
    assert opened[2] == [hit.row for hit in handlers.system.search("a blue kite")]
    assert handlers.greet(VISITOR)[2:] == ([], "")


def test_turns_follow_each_other(handlers):
    seen = first_picture(handlers)
    talk = ask(handlers, seen, "what is it?")[-1][1]
    talk = ask(handlers, seen, "what colour is the cat?", talk)[-1][1]
    assert [turn["role"] for turn in talk] == ["user", "assistant"] * 2
    assert not handlers._answering


@pytest.mark.parametrize("question", ["", " \n", "x" * 10_000])
def test_a_question_that_cannot_be_asked_gets_a_sentence_and_leaves_the_conversation_alone(handlers, question):
    (only,) = ask(handlers, first_picture(handlers), question)
    assert "class=problem" in only[3]


def test_a_question_without_a_picture_gets_a_sentence(handlers):
    assert "Choose a picture first" in ask(handlers, None, "what is it?")[-1][3]


def test_a_failing_model_is_told_without_its_details(handlers, monkeypatch, caplog):
    seen = first_picture(handlers)

    def fail(*_, **__):
        raise RuntimeError("the accelerator is on fire")

    monkeypatch.setattr(handlers.system.conversation, "_generate", fail)
    last = ask(handlers, seen, "what is it?")[-1]
    assert "Something went wrong" in last[3]
    assert "fire" not in str(last)
    assert "fire" in caplog.text


def test_stop_reaches_the_answer_of_this_visitor_alone(handlers):
    mine, other = threading.Event(), threading.Event()
    handlers._answering.update({"one": mine, "two": other})
    handlers.stop(VISITOR)
    handlers._answering.clear()
    assert mine.is_set()
    assert not other.is_set()


def test_an_unusable_upload_keeps_the_picture_and_says_why(handlers, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    assert "not a picture" in handlers.upload(str(tmp_path / "text.jpg"))[-1]


def test_text_of_visitors_is_escaped():
    assert "<script" not in note(EVIL)
    assert "<script" not in message("user", EVIL)["content"]
    assert sentence(ValueError("what is wrong")) == "what is wrong"


def test_the_box_of_an_answer_is_drawn_and_no_other_answer_changes_the_picture():
    picture = Image.new("RGB", (100, 100), "red")
    assert draw_box(picture, "a red cat") is picture
    marked = draw_box(picture, "{<20><20><50><50>}")
    scale = marked.width // 100
    assert marked.getpixel((45 * scale, 20 * scale)) != (255, 0, 0)
    assert marked.getpixel((45 * scale, 45 * scale)) == (255, 0, 0)


def test_only_the_search_is_an_open_endpoint(system):
    names = build_page(system).get_api_info()["named_endpoints"]
    assert list(names) == ["/search"]
