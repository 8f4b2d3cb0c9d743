"""The store of responses: a file that keeps each response once, whoever writes."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.survey.responses import Response, ResponseStore

NINE = {number: 1 + number % 5 for number in range(1, 10)}


def test_responses_are_there_after_a_restart_in_their_order(tmp_path):
    ResponseStore(tmp_path / "deep" / "r.sqlite").add("s", Response("anna", NINE, "good"))
    ResponseStore(tmp_path / "deep" / "r.sqlite").add("s", Response("bob", {n: 5 for n in NINE}))
    found = ResponseStore(tmp_path / "deep" / "r.sqlite").read("s")
    assert [(one.respondent, dict(one.ratings), one.comment) for one in found] == [
        ("anna", NINE, "good"),
        ("bob", {n: 5 for n in NINE}, ""),
    ]


def test_a_second_response_under_the_same_word_is_not_counted_and_the_first_is_kept(tmp_path):
    store = ResponseStore(tmp_path / "r.sqlite")
    assert store.add("s", Response("anna", NINE))
    assert not store.add("s", Response("anna", {n: 1 for n in NINE}))
    assert [dict(one.ratings) for one in store.read("s")] == [NINE]


def test_responses_to_another_survey_are_told_apart(tmp_path):
    store = ResponseStore(tmp_path / "r.sqlite")
    store.add("old", Response("anna", NINE))
    assert store.read("new") == []
    assert store.others("new") == 1


def test_two_processes_that_store_at_once_lose_nothing(tmp_path):
    code = (
        "import sys; from pathlib import Path; from workflow_scripts.survey.responses import *\n"
        "store = ResponseStore(Path(sys.argv[1]))\n"
        "for n in range(50): store.add('s', Response(f'{sys.argv[2]}-{n}', {1: 5}))\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(tmp_path / "r.sqlite")]
    both = [subprocess.Popen([*command, name], cwd=root) for name in ("a", "b")]
    assert [one.wait() for one in both] == [0, 0]
    assert len(ResponseStore(tmp_path / "r.sqlite").read("s")) == 100


def test_half_a_response_is_never_stored(tmp_path):
    store = ResponseStore(tmp_path / "r.sqlite")
    with pytest.raises(ValueError, match="cannot be read or written"):
        store.add("s", Response("anna", {1: 5, 2: 9}))  # the file itself refuses a 9
    assert store.read("s") == []


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "r.sqlite").write_text("this is a letter, and not a database at all" * 50)
    with pytest.raises(ValueError, match=r"r\.sqlite cannot be read"):
        ResponseStore(tmp_path / "r.sqlite")


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response("a", {1: 5}), "no rating of question 2"),
        (Response("a", {1: 5, 2: 3, 7: 1}), "a rating of question 7"),
        (Response("a", {1: 5, 2: 6}), "Question 2 is rated 6"),
        (Response("a", {1: 0, 2: 3}), "Question 1 is rated 0"),
        (Response("a", {1: 5, 2: 3}, "x" * 2001), "2001 characters"),
    ],
)
def test_what_is_not_a_response_is_said(response, words):
    with pytest.raises(ValueError, match=words):
        response.check([1, 2])


def test_the_file_holds_nothing_but_ratings_comment_and_time(tmp_path):
    ResponseStore(tmp_path / "r.sqlite")
    with sqlite3.connect(tmp_path / "r.sqlite") as connection:
        columns = {
            row[1] for table in ("responses", "ratings") for row in connection.execute(f"PRAGMA table_info({table})")
        }
    assert columns == {"survey", "respondent", "submitted", "source", "comment", "question", "rating"}
