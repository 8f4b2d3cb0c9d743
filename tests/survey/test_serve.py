"""The survey's pages over HTTP, without a browser."""

import pytest
from starlette.testclient import TestClient

from workflow_scripts.survey.responses import ResponseStore
from workflow_scripts.survey.serve import SurveyPages


@pytest.fixture
def store(tmp_path):
    return ResponseStore(tmp_path / "r.sqlite")


@pytest.fixture
def client(survey, store):
    return TestClient(SurveyPages(survey, store).application(), follow_redirects=False)


@pytest.fixture
def form(survey):
    return {"survey": survey["id"], "respondent": "abc", **{f"q{n}": str(1 + n % 5) for n in range(1, 10)}}


def test_the_page_shows_nine_pictures_queries_and_answers_and_reaches_for_nothing_else(client):
    page = client.get("/").text
    assert page.count("data:image/jpeg") == 9
    assert page.count("<fieldset") == 9
    assert "what is &lt;3&gt;?" in page
    assert "http://" not in page
    assert "https://" not in page


def test_each_visit_has_a_word_of_its_own(client):
    words = {client.get("/").text.split('name="respondent" value="')[1][:32] for _ in range(3)}
    assert len(words) == 3


def test_a_response_is_stored_once_however_often_it_is_sent(client, store, survey, form):
    answers = [client.post("/responses", data={**form, "comment": " nice\r\nindeed "}) for _ in range(3)]
    assert [answer.headers["location"] for answer in answers] == ["/thanks", "/thanks?again=1", "/thanks?again=1"]
    (one,) = store.read(survey["id"])
    assert one.comment == "nice\nindeed"
    assert dict(one.ratings) == {n: 1 + n % 5 for n in range(1, 10)}
    assert "count once" in client.get("/thanks?again=1").text


@pytest.mark.parametrize("bad", [{"q4": ""}, {"q4": "6"}, {"q4": "0"}, {"q4": "five"}])
def test_an_incomplete_response_comes_back_with_what_was_given(client, store, survey, form, bad):
    answer = client.post("/responses", data={**form, **bad, "comment": "<b>kept</b>"})
    assert answer.status_code == 422
    assert "no rating of question 4" in answer.text
    assert answer.text.count("not rated yet") == 1
    assert answer.text.count(" checked") == 8
    assert "&lt;b&gt;kept&lt;/b&gt;" in answer.text
    assert 'value="abc"' in answer.text
    assert store.read(survey["id"]) == []


def test_what_is_sent_from_another_site_is_refused(client, store, survey, form):
    answer = client.post("/responses", data=form, headers={"Origin": "http://elsewhere.example"})
    assert answer.status_code == 403
    assert store.read(survey["id"]) == []


def test_a_form_of_an_older_survey_and_a_very_long_one_are_refused(client, store, survey, form):
    assert client.post("/responses", data={**form, "survey": "older"}).status_code == 409
    assert client.post("/responses", data={**form, "comment": "x" * 70_000}).status_code == 413
    assert client.post("/responses", data={**form, "comment": "x" * 2001}).status_code == 422
    assert client.post("/responses", content=b"\xff\xfe").status_code == 409
    assert store.read(survey["id"]) == []
