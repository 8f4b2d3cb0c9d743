"""Conceptual Captions: a TSV of caption and URL, one pair a line."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WebCaption:
    """A picture somewhere on the web and its alternative text; the id is the line's number from 0, nine digits."""

    id: str
    url: str
    text: str


def iterate_captions(path: Path) -> tuple[Iterator[WebCaption], Counter[str]]:
    """Read the TSV line by line; lines without a tab or a URL are counted, not kept.

    A line keeps its number in any case. The counts are whole when all captions are read. A file without any pair is a
    ValueError that names it.
    """
    if not Path(path).is_file():
        raise ValueError(f"The caption file {path} does not exist; fetch the data set first.")
    removed: Counter[str] = Counter()
    return _captions(Path(path), removed), removed


def read_captions(path: Path) -> tuple[list[WebCaption], Counter[str]]:
    """Read all captions of the TSV, as `iterate_captions` does."""
    captions, removed = iterate_captions(path)
    return list(captions), removed


def _captions(path: Path, removed: Counter[str]) -> Iterator[WebCaption]:
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
                yield WebCaption(f"{number:09d}", url.strip(), text)
    if not found:
        raise ValueError(
            f"{path} holds no line of the form caption<TAB>URL; is it the right file, with its columns in that order? "
            f"Its first line is {example!r}."
        )
