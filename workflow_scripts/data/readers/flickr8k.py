"""Flickr8k: `Flickr8k.token.txt` (`name.jpg#k<TAB>caption`) and the lists of the splits."""

import re
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import Field

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.common import check_tasks, find_file
from workflow_scripts.data.records import Reading, Record

LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}

_TOKEN = re.compile(r"^(?P<name>.+?)#(?P<number>\d+)$")


class Options(Section):
    """Whose images are listed."""

    part: Literal["train", "validation", "test"] = Field(description="Part of the data set whose images count.")


def image_id(file_name: str) -> str:
    """Return the id of a file name such as `1000268201_693b08cb0e.jpg` (the corpus has some `.jpg.1`)."""
    return file_name.strip().split(".jpg")[0]


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read the captions of all images, of whatever part: the file tells no parts.

    Lines of another form and repeated caption numbers are counted, not kept.
    """
    check_tasks(tasks, "caption")
    path = find_file(folder, "Flickr8k.token.txt")
    captions: dict[str, Record] = {}
    removed: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line.strip():
            continue
        token, tab, text = line.partition("\t")
        match = _TOKEN.match(token)
        if not tab or match is None:
            removed["line of another form"] += 1
            continue
        key = image_id(match["name"])
        caption_id = f"{key}#{match['number']}"
        if caption_id in captions:
            removed["duplicate caption id"] += 1
        else:
            captions[caption_id] = Record(caption_id, key, "caption", answers=(text,))
    if not captions:
        raise ValueError(f"{path} holds no line of the form name.jpg#0<TAB>caption; is it the right file?")
    return Reading(captions.values(), removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the file names of a part's images by id, in the order of the part's list."""
    path = find_file(folder, LISTS[options.part])
    names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    wrong = [name for name in names if ".jpg" not in name or "/" in name or "\t" in name]
    if wrong or not names:
        found = f"the line {wrong[0]!r}" if wrong else "no line"
        raise ValueError(f"{path} should name a photograph (name.jpg) a line, but has {found}; is it the right file?")
    return {image_id(name): name for name in names}
