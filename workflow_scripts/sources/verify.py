"""Ask every address of the catalogue whether it still gives what the catalogue says, without downloading anything.

For whoever is about to start a run that fetches: a minute in place of days. Each address is asked for its headers, or
for one byte where a server does not answer that.
"""

import argparse
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from workflow_scripts.catalogue.load import Catalogue, load_catalogue
from workflow_scripts.catalogue.sources import Source, SourceFile
from workflow_scripts.command_line import progress, run_command, write_json
from workflow_scripts.sources.catalogue_files import update_rows
from workflow_scripts.sources.file_kinds import PAGES
from workflow_scripts.sources.gated import access_to
from workflow_scripts.sources.mirror import rewrite_url
from workflow_scripts.sources.transfer import MirroredSession

logger = logging.getLogger("verify")

RIGHT, MOVED, GONE, PAGE = "right", "moved", "gone", "a page, not the file"
NOT_ALLOWED, OTHER_SIZE, NO_ANSWER = "not allowed", "another size", "no answer"
OUTCOMES = (RIGHT, MOVED, OTHER_SIZE, PAGE, NOT_ALLOWED, GONE, NO_ANSWER)
THREADS = 16
_STATUSES = {401: NOT_ALLOWED, 403: NOT_ALLOWED, 451: NOT_ALLOWED, 404: GONE, 410: GONE}
_FOR_EVER = (301, 308)
_END_OF_ZIP = 56 + 20 + 22  # the records at the end of a zip64 file; an older zip has the last one only
_PAGE_TYPES = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True)
class Question:
    """An address of a file: the first one or the second."""

    source: str
    file: SourceFile
    url: str
    second: bool
    token: str | None


@dataclass(frozen=True)
class Answer:
    """What is known of an address; `leads_to` is where it was found, if elsewhere, `members` are those of a zip."""

    source: str
    file: str
    url: str
    second: bool
    outcome: str
    said: str
    size: int | None = None
    expected_size: int | None = None
    type: str | None = None
    leads_to: str | None = None
    members: int | None = None


def questions(catalogue: Catalogue, names: Sequence[str] = ()) -> Iterator[Question]:
    """Yield the addresses of the sources of these names, or of all; those of the miniature world are nowhere."""
    sources = {**catalogue.data_sets, **catalogue.models}
    for name in names or sources:
        source = catalogue.source(name)
        token = _token(source)
        for file in source.files:
            for url in (file.url, file.archive_url):
                if url and not (urlsplit(url).hostname or "").endswith(".example"):
                    yield Question(name, file, url, url != file.url, token)


def _token(source: Source) -> str | None:
    try:
        access = access_to(source)
    except ValueError:  # without a token the owner's answer is of interest as well
        return None
    return access.token if access else None


def ask(question: Question, timeout: float) -> Answer:
    """Ask for the headers of an address, or for one byte; an error of the network is an answer too."""
    try:
        with MirroredSession() as session:
            answer = _judge(question, *_headers(session, question, timeout))
            if answer.outcome in (RIGHT, MOVED) and question.file.name.lower().endswith(".zip"):
                return replace(answer, members=_members(session, question, timeout))
            return answer
    except requests.RequestException as error:
        return _answer(question, NO_ANSWER, type(error).__name__)


def _headers(session: requests.Session, question: Question, timeout: float) -> tuple[requests.Response, int | None]:
    """The answer, whose body is not read, and the size that it tells."""
    headers = {"Accept-Encoding": "identity"}
    if question.token:
        headers["Authorization"] = f"Bearer {question.token}"
    url = rewrite_url(question.url)
    answer = session.head(url, headers=headers, allow_redirects=True, timeout=timeout)
    size = answer.headers.get("Content-Length", "")
    if answer.ok and size.isdigit():
        return answer, int(size)
    # Signed addresses and some servers allow GET only.
    with session.get(url, headers={**headers, "Range": "bytes=0-0"}, stream=True, timeout=timeout) as answer:
        if answer.status_code == 206:
            size = answer.headers.get("Content-Range", "").rpartition("/")[2]
        else:
            size = answer.headers.get("Content-Length", "")
    return answer, int(size) if size.isdigit() else None


def _members(session: requests.Session, question: Question, timeout: float) -> int | None:
    """How many files a zip has: its last bytes say so. None where the server gives no ranges, or they say nothing."""
    headers = {"Accept-Encoding": "identity", "Range": f"bytes=-{_END_OF_ZIP}"}
    with session.get(rewrite_url(question.url), headers=headers, stream=True, timeout=timeout) as answer:
        end = answer.content if answer.status_code == 206 else b""
    place, large = end.rfind(b"PK\x05\x06"), end.rfind(b"PK\x06\x06")
    if place < 0 or len(end) < place + 12:
        return None
    count = int.from_bytes(end[place + 10 : place + 12], "little")
    if count == 0xFFFF and large >= 0:  # zip64 has a record of its own before that
        return int.from_bytes(end[large + 32 : large + 40], "little")
    return count


def _judge(question: Question, answer: requests.Response, size: int | None) -> Answer:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    # What leads there may be signed: whoever reads the query could fetch in our name.
    end = answer.url.partition("?")[0]
    moved = [found for found in answer.history if found.status_code in _FOR_EVER]
    leads_to = urljoin(answer.history[-1].url, end) if answer.history else None
    said = f"HTTP status {answer.status_code}"
    if not answer.ok:
        outcome = _STATUSES.get(answer.status_code, NO_ANSWER)
    elif kind in _PAGE_TYPES and not question.file.name.lower().endswith(PAGES):
        outcome = PAGE
    elif size is not None and question.file.size not in (None, size):
        outcome, said = OTHER_SIZE, f"{size} bytes, {question.file.size} in the catalogue"
    else:
        outcome = MOVED if moved else RIGHT
    found = size if answer.ok and outcome != PAGE else None
    return _answer(question, outcome, said, found, kind or None, leads_to)


def _answer(
    question: Question,
    outcome: str,
    said: str,
    size: int | None = None,
    kind: str | None = None,
    leads_to: str | None = None,
) -> Answer:
    names = question.source, question.file.name, question.url, question.second
    return Answer(*names, outcome, said, size, question.file.size, kind, leads_to)


def table(answers: Sequence[Answer]) -> str:
    """Return the answers as a table for a terminal: a line for the files of a source that are alike."""
    groups: dict[tuple[str, bool, str, str], list[Answer]] = {}
    for answer in answers:
        size = answer.said if answer.outcome != RIGHT else ""
        groups.setdefault((answer.source, answer.second, answer.outcome, size), []).append(answer)
    lines = []
    for (source, second, outcome, said), group in groups.items():
        names = group[0].file if len(group) == 1 else f"{group[0].file} and {len(group) - 1} more"
        sizes = [answer.size for answer in group]
        total = f"{sum(size or 0 for size in sizes) / 1e6:.1f} MB" if all(sizes) else "size unknown"
        more = [said] if said else []
        more += [f"leads to {group[0].leads_to}"] if outcome == MOVED else []
        members = sum(answer.members or 0 for answer in group)
        more += [f"{members:,} files in it"] if members else []
        where = "second address" if second else "address"
        lines.append((outcome, source, names, where, total, "; ".join(more)))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(f"{cell:<{w}}" for cell, w in zip(line, [*widths, 0], strict=True)).rstrip() for line in lines
    )


def without_address(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    """Return source and file of what no address gives at present."""
    good = {(answer.source, answer.file) for answer in answers if answer.outcome in (RIGHT, MOVED)}
    return list(dict.fromkeys((a.source, a.file) for a in answers if (a.source, a.file) not in good))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `[--source NAME ...] [--output F.json] [--update] [--timeout-seconds N] [--catalogue F ...]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", nargs="*", default=[], help="data sets and models; else all of the catalogue")
    parser.add_argument("--output", type=Path, default=Path("results/sources.json"))
    parser.add_argument("--update", action="store_true", help="write day and size into the rows of the catalogue")
    parser.add_argument("--timeout-seconds", type=float, default=20.0)
    parser.add_argument("--catalogue", nargs="*", default=[], help="more files or folders of rows")
    arguments = parser.parse_args(argv)
    asked = list(questions(load_catalogue(arguments.catalogue), arguments.source))
    if not asked:
        raise ValueError(f"{', '.join(arguments.source)}: there is no address to ask; it comes from this machine.")
    today = date.today()
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda question: ask(question, arguments.timeout_seconds), asked)
        answers = list(progress(found, len(asked), "ask addresses"))
    counts = Counter(answer.outcome for answer in answers)
    summary = {outcome: counts[outcome] for outcome in OUTCOMES if counts[outcome]}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    content = {"day": today.isoformat(), "outcomes": summary, "addresses": [asdict(answer) for answer in answers]}
    write_json(arguments.output, content)
    print(table(answers))
    print(", ".join(f"{count} {outcome}" for outcome, count in summary.items()), f"(more in {arguments.output})")
    missing = without_address(answers)
    if missing:
        names = ", ".join(dict.fromkeys(source for source, _ in missing))
        print(f"No address gives {len(missing)} files of {names} at present.")
    if arguments.update:
        good = {(a.source, a.file): a.size for a in answers if not a.second and a.outcome in (RIGHT, MOVED)}
        for path in update_rows(good, today, arguments.catalogue):
            logger.info("day and sizes are written into %s", os.path.relpath(path))


if __name__ == "__main__":
    run_command(main)
