"""Import responses from a CSV file of a form service: a column for each question, and perhaps one with a comment.

A question's column starts with its number ("Q3", "3. ...", "Question 3: ..."); a column that starts with "comment" is
the comment, one that starts with "time" or "date" says when. Commas, semicolons, tabs or bars may part the columns, and
the text may be UTF-8, UTF-16 or Windows-1252. A response is known by its ratings, its comment and its time, whatever
other columns there are, so that exporting and importing again adds nobody.
"""

import argparse
import csv
import hashlib
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.survey.build_survey import read_survey
from workflow_scripts.survey.responses import Response, ResponseStore

_MARKS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r"sep=(\\t|.)", re.IGNORECASE)
_WHOLE = re.compile(r"([+-]?\d+)(?:[.,]0*)?")
_QUESTION = re.compile(r"\s*(?:q|question)?\s*(\d+)\b", re.IGNORECASE)


def read_csv(path: Path, questions: Sequence[int]) -> list[Response]:
    """The responses of a file; ValueError that names the line where one does not fit, and nothing is read then."""
    lines = _cells(_text(path), questions, path)
    if not lines:
        raise ValueError(f"{path} is empty; export the responses with their header.")
    header, body = lines[0], [line for line in lines[1:]]
    columns = _question_columns(header, questions, path)
    comment = _column(header, "comment")
    time = _column(header, "time", "date")
    seen: Counter[str] = Counter()
    responses = []
    for number, line in enumerate(body, start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(header):
            raise ValueError(f"Line {number} of {path} has {len(line)} cells, its header {len(header)}.")
        ratings = {question: _rating(line[column], number, path) for question, column in columns.items()}
        said = line[comment].strip() if comment is not None else ""
        when = line[time].strip() if time is not None else ""
        # Two people may have said the same at the same time: the second one is another respondent.
        counts = json.dumps([when, sorted(ratings.items()), said])
        seen[counts] += 1
        respondent = hashlib.sha256(f"{seen[counts]}\x1f{counts}".encode()).hexdigest()[:32]
        response = Response(respondent, ratings, said, when, f"csv:{path.name}")
        try:
            response.check(questions)
        except ValueError as error:
            raise ValueError(f"Line {number} of {path}: {error}") from None
        responses.append(response)
    return responses


def _text(path: Path) -> str:
    """The text of a file in the encoding that it has: form services and spreadsheets write several."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; look at its name.") from None
    if content.startswith(b"PK\x03\x04"):
        raise ValueError(f"{path} is a spreadsheet or an archive; export the responses as CSV.")
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return _decoded(content.removeprefix(mark), encoding, path)
    # Half of the bytes of a header in UTF-16 are zero: the first of each pair, or the second.
    if content[1::2].count(0) > len(content) // 4:
        return _decoded(content, "utf-16-le", path)
    if content[::2].count(0) > len(content) // 4:
        return _decoded(content, "utf-16-be", path)
    try:
        return content.decode()
    except UnicodeDecodeError:
        print(f"note: {path} is not UTF-8; it is read as Windows-1252.", file=sys.stderr)
        return content.decode("cp1252", errors="replace")


def _decoded(content: bytes, encoding: str, path: Path) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: it is not {encoding.upper()} to its end ({error.reason}).") from None


def _cells(text: str, questions: Sequence[int], path: Path) -> list[list[str]]:
    """The lines of a file as cells, parted by what gives its header the most columns of questions."""
    first, _, rest = text.partition("\n")
    if match := _SEPARATOR.fullmatch(first.strip()):  # Excel's own way to say it
        return _parted(rest, match[1].replace("\\t", "\t"), path)
    parted = {mark: _parted(text, mark, path) for mark in _DELIMITERS if mark in first} or {
        ",": _parted(text, ",", path)
    }

    def fitting(lines: list[list[str]]) -> tuple[int, int]:
        header = lines[0] if lines else []
        numbers = {int(match[1]) for name in header if (match := _QUESTION.match(name))}
        return len(numbers & set(questions)), sum(len(line) == len(header) for line in lines)

    return max(parted.values(), key=fitting)


def _parted(text: str, delimiter: str, path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as CSV ({error}); export the responses again.") from error


def _question_columns(header: Sequence[str], questions: Sequence[int], path: Path) -> dict[int, int]:
    columns: dict[int, int] = {}
    for column, name in enumerate(header):
        match = _QUESTION.match(name)
        if match and int(match[1]) in questions:
            if int(match[1]) in columns:
                raise ValueError(f"{path} has two columns for question {match[1]}; keep one of them.")
            columns[int(match[1])] = column
    missing = [number for number in questions if number not in columns]
    if missing:
        raise ValueError(
            f"{path} has no column for question {missing[0]}; its columns are {', '.join(header)}. "
            f'Let the column\'s name start with "Q{missing[0]}".'
        )
    return columns


def _column(header: Sequence[str], *starts: str) -> int | None:
    found = [column for column, name in enumerate(header) if name.strip().lower().startswith(starts)]
    return found[0] if found else None


def _rating(cell: str, line: int, path: Path) -> int:
    """A rating; a spreadsheet may have written it as 4.0, or as 4,0."""
    match = _WHOLE.fullmatch(cell.strip())
    if match is None:
        raise ValueError(f"Line {line} of {path} has the rating {cell!r}, which is no whole number.")
    return int(match[1])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, help="file of the form service")
    parser.add_argument("--survey", type=Path, required=True, help="survey.json that the form asked")
    parser.add_argument("--responses", type=Path, required=True, help="SQLite file of the responses")
    arguments = parser.parse_args(argv)
    survey = read_survey(arguments.survey)
    responses = read_csv(arguments.csv, [question["number"] for question in survey["questions"]])
    store = ResponseStore(arguments.responses)
    new = store.add_exported(survey["id"], responses)
    print(f"{new} responses imported, {len(responses) - new} were there already")


if __name__ == "__main__":
    run_command(main)
