"""Flickr8k: `Flickr8k.token.txt` (`name.jpg#k<TAB>caption`) and the lists of the splits."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.readers.common import find_file

SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}

_TOKEN = re.compile(r"^(?P<name>.+?)#(?P<number>\d+)$")


@dataclass(frozen=True)
class FlickrCaption:
    """A caption; the image id is the file name without its ending."""

    id: str
    image_id: str
    text: str


def image_id(file_name: str) -> str:
    """Return the id of a file name such as `1000268201_693b08cb0e.jpg` (the corpus has some `.jpg.1`)."""
    return file_name.strip().split(".jpg")[0]


def read_captions(folder: Path) -> tuple[list[FlickrCaption], Counter[str]]:
    """Read all captions; lines of another form and repeated caption numbers are counted, not kept."""
    path = find_file(folder, "Flickr8k.token.txt")
    captions: list[FlickrCaption] = []
    removed: Counter[str] = Counter()
    seen: set[str] = set()
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        token, tab, text = line.partition("\t")
        match = _TOKEN.match(token)
        if not tab or match is None:
            removed["line of another form"] += 1
            continue
        caption_id = f"{image_id(match['name'])}#{match['number']}"
        if caption_id in seen:
            removed["duplicate caption id"] += 1
            continue
        seen.add(caption_id)
        captions.append(FlickrCaption(caption_id, image_id(match["name"]), text))
    if not captions:
        raise ValueError(f"{path} holds no line of the form name.jpg#0<TAB>caption; is it the right file?")
    return captions, removed


def read_split(folder: Path, split: str) -> list[str]:
    """Read the file names of a split (train, validation or test), in the order of the list."""
    if split not in SPLIT_FILES:
        raise ValueError(f"Flickr8k has no split {split!r}; choose one of {', '.join(SPLIT_FILES)}.")
    path = find_file(folder, SPLIT_FILES[split])
    names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    wrong = [name for name in names if ".jpg" not in name or "/" in name or "\t" in name]
    if wrong or not names:
        found = f"the line {wrong[0]!r}" if wrong else "no line"
        raise ValueError(f"{path} should name a photograph (name.jpg) a line, but has {found}; is it the right file?")
    return list(dict.fromkeys(names))
