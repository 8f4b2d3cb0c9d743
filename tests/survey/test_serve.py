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


def test_what_is_sent_from_another_site_is_refused_and_stays_in_the_page(client, store, survey, form):
    sent = {**form, "comment": "<b>kept</b>"}
    answer = client.post("/responses", data=sent, headers={"Origin": "http://elsewhere.example"})
    assert answer.status_code == 403
    assert "http://elsewhere.example" in answer.text
    assert answer.text.count(" checked") == 9
    assert "&lt;b&gt;kept&lt;/b&gt;" in answer.text
    assert 'value="abc"' in answer.text
    assert store.read(survey["id"]) == []


def test_behind_a_proxy_a_response_is_stored_and_one_from_another_site_is_not(survey, store, form):
    application = SurveyPages(survey, store).application("127.0.0.1", ["survey.example.org"])
    client = TestClient(application, base_url="http://127.0.0.1:7870", follow_redirects=False)
    ways = [{"Host": "survey.example.org", "X-Forwarded-Proto": "https"}, {"Host": "127.0.0.1:7870"}]
    for number, headers in enumerate(ways):
        sent = {**form, "respondent": f"person {number}"}
        foreign = client.post("/responses", data=sent, headers={**headers, "Origin": "https://evil.example"})
        assert foreign.status_code == 403
        own = client.post("/responses", data=sent, headers={**headers, "Origin": "https://survey.example.org"})
        assert (own.status_code, own.headers["location"]) == (303, "/thanks")
    assert len(store.read(survey["id"])) == 2


def test_a_response_that_cannot_be_stored_stays_in_the_page(client, store, survey, form):
    store.path.unlink()
    store.path.mkdir()
    answer = client.post("/responses", data={**form, "comment": "all of it"})
    assert answer.status_code == 503
    assert "could not be stored just now" in answer.text
    assert answer.text.count(" checked") == 9
    assert "all of it" in answer.text


def test_each_page_says_that_nothing_else_is_loaded_and_nobody_frames_it(client):
    for path in ("/", "/thanks", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_form_of_an_older_survey_and_a_very_long_one_are_refused(client, store, survey, form):
    older = client.post("/responses", data={**form, "survey": "older", "comment": "still said"})
    assert older.status_code == 409
    assert "still said" in older.text
    assert " checked" not in older.text
    assert client.post("/responses", data={**form, "comment": "x" * 70_000}).status_code == 413
    assert client.post("/responses", data={**form, "comment": "x" * 2001}).status_code == 422
    assert client.post("/responses", content=b"\xff\xfe").status_code == 409
    assert store.read(survey["id"]) == []
