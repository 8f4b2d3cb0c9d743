"""The responses to surveys in a SQLite file: kept over restarts, each response once."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

RATINGS = range(1, 6)
LONGEST_COMMENT = 2000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS responses (
    survey TEXT NOT NULL, respondent TEXT NOT NULL, submitted TEXT NOT NULL, source TEXT NOT NULL,
    comment TEXT NOT NULL, PRIMARY KEY (survey, respondent)
);
CREATE TABLE IF NOT EXISTS ratings (
    survey TEXT NOT NULL, respondent TEXT NOT NULL, question INTEGER NOT NULL,
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5), PRIMARY KEY (survey, respondent, question),
    FOREIGN KEY (survey, respondent) REFERENCES responses
);
"""


@dataclass(frozen=True)
class Response:
    """What one person said: `respondent` is a random word without meaning, ratings by the question's number."""

    respondent: str
    ratings: Mapping[int, int]
    comment: str = ""
    submitted: str = ""
    source: str = "page"

    def check(self, questions: Sequence[int]) -> None:
        """ValueError where a question has no rating, an unknown one has, or a rating or the comment is not allowed."""
        missing = [number for number in questions if number not in self.ratings]
        unknown = sorted(set(self.ratings) - set(questions))
        if missing or unknown:
            words = f"no rating of question {missing[0]}" if missing else f"a rating of question {unknown[0]}"
            raise ValueError(f"There is {words}; rate each of the {len(questions)} questions once.")
        wrong = {number: rating for number, rating in self.ratings.items() if rating not in RATINGS}
        if wrong:
            number, rating = next(iter(wrong.items()))
            raise ValueError(f"Question {number} is rated {rating}; ratings are whole numbers from 1 to 5.")
        if len(self.comment) > LONGEST_COMMENT:
            raise ValueError(f"The comment has {len(self.comment)} characters; {LONGEST_COMMENT} are allowed.")


class ResponseStore:
    """The file of responses; several processes may have it open, and each call is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as connection:
            connection.executescript(_SCHEMA)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=20)) as connection, connection:
                yield connection
        except sqlite3.DatabaseError as error:
            raise ValueError(f"The responses in {self.path} cannot be read or written ({error}).") from error

    def add(self, survey: str, response: Response) -> bool:
        """Store a response; False where that respondent's response to the survey is there already, which is kept."""
        submitted = response.submitted or datetime.now(UTC).isoformat(timespec="seconds")
        with self._connected() as connection:
            return _insert(connection, survey, response, submitted)

    def add_exported(self, survey: str, responses: Sequence[Response]) -> int:
        """Store the responses of an export that are not there yet, and return how many; several exports may overlap.

        One is there where an export that was stored before has the same ratings, comment and time. An export without
        times, or without comments, does not know them: what it lacks tells nobody apart.
        """
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            left = [one for one in _read(connection, survey) if one.source.startswith("csv:")]
            new = list(responses)
            for same in (_all_the_same, _the_same_but_for_the_comment, _the_same_but_for_the_time):
                new = [one for one in new if not _take(left, one, same)]
            for response in new:
                number, respondent = 1, response.respondent
                while not _insert(connection, survey, replace(response, respondent=respondent), response.submitted):
                    number += 1
                    respondent = hashlib.sha256(f"{number}\x1f{response.respondent}".encode()).hexdigest()[:32]
        return len(new)

    def read(self, survey: str) -> list[Response]:
        """All responses to a survey, in the order in which they came."""
        with self._connected() as connection:
            return _read(connection, survey)

    def others(self, survey: str) -> int:
        """How many responses are to other surveys: to other questions, or answers of another model."""
        with self._connected() as connection:
            return connection.execute("SELECT count(*) FROM responses WHERE survey != ?", (survey,)).fetchone()[0]


def _insert(connection: sqlite3.Connection, survey: str, response: Response, submitted: str) -> bool:
    row = (survey, response.respondent, submitted, response.source, response.comment)
    new = connection.execute("INSERT OR IGNORE INTO responses VALUES (?, ?, ?, ?, ?)", row).rowcount == 1
    if new:
        ratings = [(survey, response.respondent, *pair) for pair in sorted(response.ratings.items())]
        connection.executemany("INSERT INTO ratings VALUES (?, ?, ?, ?)", ratings)
    return new


def _read(connection: sqlite3.Connection, survey: str) -> list[Response]:
    rows = connection.execute(
        "SELECT respondent, comment, submitted, source FROM responses WHERE survey = ? ORDER BY rowid", (survey,)
    ).fetchall()
    ratings: dict[str, dict[int, int]] = {row[0]: {} for row in rows}
    for respondent, question, rating in connection.execute(
        "SELECT respondent, question, rating FROM ratings WHERE survey = ?", (survey,)
    ):
        ratings[respondent][question] = rating
    return [Response(row[0], ratings[row[0]], *row[1:]) for row in rows]


def _take(stored: list[Response], response: Response, same: Callable[[Response, Response], bool]) -> bool:
    """Take out of the stored responses one that is the same, so that it stands for one respondent only."""
    found = next((one for one in stored if one.ratings == response.ratings and same(one, response)), None)
    if found is not None:
        stored.remove(found)
    return found is not None


def _all_the_same(one: Response, other: Response) -> bool:
    return (one.submitted, one.comment) == (other.submitted, other.comment)


def _the_same_but_for_the_comment(one: Response, other: Response) -> bool:
    return bool(one.submitted) and one.submitted == other.submitted and not (one.comment and other.comment)


def _the_same_but_for_the_time(one: Response, other: Response) -> bool:
    return one.comment == other.comment and not (one.submitted and other.submitted)
