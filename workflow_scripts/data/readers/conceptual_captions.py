"""Conceptual Captions: a TSV of caption and URL, one pair a line."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.common import check_tasks, find_file
from workflow_scripts.data.records import Reading, Record


class Options(Section):
    """Which TSV is read."""

    file: str = Field(description="Name of the TSV, as in Train_GCC-training.tsv.")


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read the TSV line by line; lines without a tab or a URL are counted, not kept.

    The id of image and caption is the line's number from 0, nine digits; a line keeps its number in any case. The
    counts are whole when all captions are read. A file without any pair is a ValueError that names it.
    """
    check_tasks(tasks, "caption")
    removed: Counter[str] = Counter()
    pairs = _pairs(find_file(folder, options.file), removed)
    captions = (Record(key, key, "caption", answers=(text,)) for key, text, _ in pairs)
    return Reading(captions, removed, in_order=True)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the URLs of the pairs by id."""
    return {key: url for key, _, url in _pairs(find_file(folder, options.file), Counter())}


def _pairs(path: Path, removed: Counter[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (id, caption, URL)."""
    found = False
    example = ""
    with path.open("rb") as stream:
        # Split at line feeds only: captions contain other characters that Python takes for line ends.
        for number, raw in enumerate(stream):
            line = raw.rstrip(b"\n").rstrip(b"\r")
            if not line:
                continue
            try:
                decoded = line.decode("utf-8")
            except UnicodeDecodeError:
                removed["line is not UTF-8"] += 1
                continue
            example = example or decoded[:80]
            text, tab, url = decoded.rpartition("\t")
            if not tab:
                removed["line without a tab"] += 1
            elif not url.strip().startswith(("http://", "https://")):
                removed["line without a URL"] += 1
            else:
                found = True
                yield f"{number:09d}", text, url.strip()
    if not found:
        raise ValueError(
            f"{path} holds no line of the form caption<TAB>URL; is it the right file, with its columns in that order? "
            f"Its first line is {example!r}."
        )
