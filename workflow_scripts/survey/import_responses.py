"""Import responses from a CSV file of a form service: a column for each question, and perhaps one with a comment.

A question's column starts with its number ("Q3", "3. ...", "Question 3: ..."); a column that starts with "comment" is
the comment, one that starts with "time" or "date" says when. A file that is imported twice counts once.
"""

import argparse
import csv
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.survey.build_survey import read_survey
from workflow_scripts.survey.responses import Response, ResponseStore

_QUESTION = re.compile(r"\s*(?:q|question)?\s*(\d+)\b", re.IGNORECASE)


def read_csv(path: Path, questions: Sequence[int]) -> list[Response]:
    """The responses of a file; ValueError that names the line where one does not fit, and nothing is read then."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as CSV in UTF-8 ({error}).") from error
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
        # Two people may have said the same: the second one with the same line is another respondent.
        text = "\x1f".join(line)
        seen[text] += 1
        respondent = hashlib.sha256(f"{seen[text]}\x1f{text}".encode()).hexdigest()[:32]
        said = line[comment].strip() if comment is not None else ""
        when = line[time].strip() if time is not None else ""
        response = Response(respondent, ratings, said, when, f"csv:{path.name}")
        try:
            response.check(questions)
        except ValueError as error:
            raise ValueError(f"Line {number} of {path}: {error}") from None
        responses.append(response)
    return responses


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
    try:
        return int(cell.strip())
    except ValueError:
        raise ValueError(f"Line {line} of {path} has the rating {cell!r}, which is no whole number.") from None


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path, help="file of the form service")
    parser.add_argument("--survey", type=Path, required=True, help="survey.json that the form asked")
    parser.add_argument("--responses", type=Path, required=True, help="SQLite file of the responses")
    arguments = parser.parse_args(argv)
    survey = read_survey(arguments.survey)
    responses = read_csv(arguments.csv, [question["number"] for question in survey["questions"]])
    store = ResponseStore(arguments.responses)
    new = sum(store.add(survey["id"], response) for response in responses)
    print(f"{new} responses imported, {len(responses) - new} were there already")


if __name__ == "__main__":
    run_command(main)
