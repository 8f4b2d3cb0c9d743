import threading
from types import SimpleNamespace

import pytest
from PIL import Image
from tiny_results import EXAMPLES

from workflow_scripts.demo.draw_box import draw_box
from workflow_scripts.demo.handlers import WHOLE, WHY, Handlers
from workflow_scripts.demo.messages import message, note, sentence
from workflow_scripts.demo.page import build_page

VISITOR = SimpleNamespace(session_hash="one", query_params={})
EVIL = "<script>alert(1)</script> </s>"


@pytest.fixture(scope="module")
def handlers(system):
    return Handlers(system)


def first_picture(handlers):
    _, rows, _ = handlers.search("a red cat")
    return handlers.choose(rows, SimpleNamespace(index=0))[0]


def ask(handlers, seen, question, talk=(), beside="nobody"):
    adaptor = handlers.system.conversation.adaptors[0]
    return list(handlers.answer(question, seen, list(talk), adaptor, beside, 1, 0.0, 6, VISITOR))


def test_a_search_gives_the_best_pictures_of_the_index(handlers):
    gallery, rows, said = handlers.search("a red cat")
    assert len(gallery.value["root"] if isinstance(gallery.value, dict) else gallery.value) == 15
    assert rows == [hit.row for hit in handlers.system.search("a red cat")]
    assert "15 of 18" in said


def opened(handlers, **parameters):
    """What a page with these parameters in its address shows, by name."""
    names = ["q", "asked", "question", "answers", "beside", "beams", "temperature", "longest"]
    names += ["gallery", "rows", "found", "seen", "picture", "talk", "about", "id"]
    values = handlers.greet(SimpleNamespace(query_params=parameters))
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("query", ["🪁", "犬 と 猫", "красный кот", "قطة حمراء", "a" * 500])
def test_any_language_is_searched_in(handlers, query):
    _, rows, said = handlers.search(query)
    assert len(rows) == 15
    assert query in said


@pytest.mark.parametrize("size", [(1, 1), (1, 3000)])
def test_the_smallest_and_the_narrowest_picture_can_be_looked_at_asked_about_and_searched_with(handlers, size):
    seen = handlers.system.see(Image.new("RGB", size, "red"), "your picture")
    assert ask(handlers, seen, "what is it?")[-1][3] == note("You are looking at your picture.")
    assert len(handlers.similar(seen)[1]) == 15
    lit, said, _ = handlers.why(seen, "a red cat", WHY)
    assert lit.size == seen.shown.size
    assert "it scores" in said
    assert draw_box(seen.shown, "{<20><20><50><50>}").width >= 1


def test_the_page_says_which_training_answers_and_among_how_many_pictures(system):
    config = str(build_page(system).get_config_file())
    assert "The answers are those of report · finetune · 2, at scale tiny_scale" in config
    assert "find it among 18" in config


def test_a_link_opens_the_page_as_its_sender_saw_it(handlers):
    other = handlers.system.conversation.adaptors[1]
    page = opened(handlers, q="a blue kite", picture="03.png", question="what is it?", beside=other, beams="4")
    assert (page["q"], page["question"], page["beside"], page["beams"]) == ("a blue kite", "what is it?", other, 4)
    assert page["rows"] == [hit.row for hit in handlers.system.search("a blue kite")]
    assert (page["seen"].id, page["id"]) == ("03.png", "03.png")
    assert "03.png" in page["about"]


def test_an_address_without_anything_opens_the_first_example_or_an_empty_page(handlers, monkeypatch):
    page = opened(handlers)
    assert page["q"] == EXAMPLES[0]
    assert page["rows"] == [hit.row for hit in handlers.system.search(EXAMPLES[0])]
    assert page["answers"] == handlers.system.conversation.adaptors[0]
    monkeypatch.setattr("workflow_scripts.demo.handlers.example_queries", lambda _: [])
    page = opened(handlers)
    assert (page["q"], page["rows"], page["found"]) == ("", [], "")


@pytest.mark.parametrize("picture", ["/etc/passwd", "../../models/language_model-bbb/config.json", "<b>", "99.png"])
def test_a_picture_that_the_index_does_not_have_cannot_be_linked(handlers, picture):
    page = opened(handlers, q="a kite", picture=picture)
    assert "no picture with this id" in page["about"]
    assert len(page["rows"]) == 15


@pytest.mark.parametrize(
    ("name", "value"),
    [("beams", "9"), ("beams", "x"), ("temperature", "-1"), ("longest", "10000"), ("answers", "x"), ("beside", "/etc")],
)
def test_a_value_that_the_page_does_not_offer_is_passed_over(handlers, name, value):
    assert opened(handlers, **{name: value})[name] == opened(handlers)[name]


def test_pictures_like_the_one_that_is_looked_at_begin_with_itself(handlers):
    seen = handlers.choose([7], SimpleNamespace(index=0))[0]
    _, rows, said = handlers.similar(seen)
    assert rows[0] == 7
    assert len(rows) == 15
    assert "like 07.png" in said
    assert "Choose a picture first" in handlers.similar(None)[2]


def test_why_lights_the_picture_up_and_gives_it_back(handlers):
    seen = first_picture(handlers)
    lit, said, label = handlers.why(seen, "a red cat", WHY)
    assert lit.size == seen.shown.size
    assert list(lit.getdata()) != list(seen.shown.getdata())
    shown = float(said.split("it scores ")[1].split(".</span>")[0])
    assert shown == pytest.approx(handlers.system.search("a red cat")[0].score, abs=0.01)
    assert label == WHOLE
    assert handlers.why(seen, "a red cat", label)[::2] == (seen.shown, WHY)
    assert "class=problem" in handlers.why(seen, "  ", WHY)[1]
    assert "Choose a picture first" in handlers.why(None, "a red cat", WHY)[1]


def test_two_experiments_answer_beside_each_other_each_as_it_does_alone(handlers):
    seen, names = first_picture(handlers), handlers.system.conversation.adaptors
    talk = ask(handlers, seen, "what is it?", beside=names[1])[-1][1]
    assert [turn["role"] for turn in talk] == ["user", "assistant", "assistant"]
    alone = []
    for name in names:
        parts = handlers.answer("what is it?", seen, [], name, "nobody", 1, 0.0, 6, VISITOR)
        alone.append(list(parts)[-1][1][-1]["content"])
    assert [turn["content"] for turn in talk[1:]] == [
        f'<span class="by">{name}</span>{text}' for name, text in zip(names, alone, strict=True)
    ]


def test_stop_ends_the_comparison_as_a_whole(handlers):
    seen, names = first_picture(handlers), handlers.system.conversation.adaptors
    growing = handlers.answer("what?", seen, [], names[0], names[1], 1, 0.0, 128, VISITOR)
    next(growing)
    handlers.stop(VISITOR)
    talk = list(growing)[-1][1]
    assert len(talk) == 2
    assert talk[-1]["content"].endswith("(stopped)")


def test_a_stop_in_the_moment_between_two_answers_counts(handlers, monkeypatch):
    conversation, (first, second) = handlers.system.conversation, handlers.system.conversation.adaptors
    usual = conversation.answer

    def answer(look, question, settings, stop, adaptor):
        yield from usual(look, question, settings, stop, adaptor)
        if adaptor == first:
            handlers.stop(VISITOR)

    monkeypatch.setattr(conversation, "answer", answer)
    talk = ask(handlers, first_picture(handlers), "what is it?", beside=second)[-1][1]
    assert len(talk) == 3
    assert "(stopped)" not in talk[1]["content"]
    assert talk[2]["content"].endswith("(stopped)")


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


def test_an_unusable_upload_keeps_the_picture_and_says_why(handlers, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "text.jpg").write_text("hello")
    assert "not a picture" in handlers.upload(str(tmp_path / "text.jpg"))[3]


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


def test_only_search_and_ask_are_open_endpoints(system):
    names = build_page(system).get_api_info()["named_endpoints"]
    assert sorted(names) == ["/ask", "/search"]
