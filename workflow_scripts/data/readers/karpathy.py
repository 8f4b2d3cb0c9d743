"""Karpathy's split of COCO 2014: `dataset_coco.json`, images with their captions and the part that each is in."""

from collections import Counter
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.coco import image_id, image_url
from workflow_scripts.data.readers.common import (
    check_tasks,
    find_file,
    load_json,
    records,
    required,
    text_of,
    whole_number,
)
from workflow_scripts.data.records import Reading, Record

Part = Literal["train", "restval", "val", "test"]
PARTS = get_args(Part)


class Options(Section):
    """Which part is read."""

    part: Part = Field(description="Part of the split.")


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read the captions of a part of the split.

    Of several entries with one COCO id, and of several captions with one id, the first counts.
    """
    check_tasks(tasks, "caption")
    _, captions, removed = _read(folder, options.part)
    return Reading(captions.values(), removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the URLs of a part's images by COCO id, in the order of the file."""
    return _read(folder, options.part)[0]


def _read(folder: Path, part: str) -> tuple[dict[str, str], dict[str, Record], Counter[str]]:
    """URLs by id, captions by id, and what was left out."""
    path = find_file(folder, "dataset_coco.json")
    urls: dict[str, str] = {}
    captions: dict[str, Record] = {}
    removed: Counter[str] = Counter()
    for position, entry in records(load_json(path), "images", path):
        split = text_of(required(entry, "split", path, position))
        if split not in PARTS:
            raise ValueError(
                f"Entry {position} of {path} is in the unknown split {split!r}, expected {', '.join(PARTS)}."
            )
        if split != part:
            continue
        key = image_id(whole_number(entry, "cocoid", path, position))
        if key in urls:
            removed["duplicate image id"] += 1
            continue
        urls[key] = image_url(None, text_of(required(entry, "filename", path, position)))
        for _, sentence in records(entry, "sentences", path):
            caption_id = text_of(required(sentence, "sentid", path, position))
            if caption_id in captions:
                removed["duplicate caption id"] += 1
                continue
            text = text_of(required(sentence, "raw", path, position))
            captions[caption_id] = Record(caption_id, key, "caption", answers=(text,), part=part)
    if not urls:
        raise ValueError(f"{path} holds no picture of the part {part}; fetch it again.")
    return urls, captions, removed
