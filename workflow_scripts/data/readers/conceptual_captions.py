"""Conceptual Captions: a TSV of caption and URL, one pair a line."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WebCaption:
    """A picture somewhere on the web and its alternative text; the id is the line's number from 0, nine digits."""

    id: str
    url: str
    text: str


def read_captions(path: Path) -> tuple[list[WebCaption], Counter[str]]:
    """Read the TSV; lines without a tab or a URL are counted, not kept. A line keeps its number in any case."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"The caption file {path} does not exist; fetch the data set first.") from None
    captions: list[WebCaption] = []
    removed: Counter[str] = Counter()
    # Split at line feeds only: captions contain other characters that Python takes for line ends.
    for number, line in enumerate(content.split(b"\n")):
        line = line.rstrip(b"\r")
        if not line:
            continue
        try:
            decoded = line.decode("utf-8")
        except UnicodeDecodeError:
            removed["line is not UTF-8"] += 1
            continue
        text, tab, url = decoded.rpartition("\t")
        if not tab:
            removed["line without a tab"] += 1
        elif not url.strip().startswith(("http://", "https://")):
            removed["line without a URL"] += 1
        else:
            captions.append(WebCaption(f"{number:09d}", url.strip(), text))
    if not captions:
        raise ValueError(f"{path} holds no line of the form caption<TAB>URL; is it the right file?")
    return captions, removed
