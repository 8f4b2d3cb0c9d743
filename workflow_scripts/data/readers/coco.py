"""COCO captions: `captions_train2017.json` and all files of the same layout."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from workflow_scripts.config.base import Section
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

# Files of 2014 and what is made from them, such as RefCOCO's instances.json, name http://mscoco.org/images/98304: a
# host that has served nothing since 2017.
DEAD_HOSTS = ("mscoco.org", "www.mscoco.org")
_FULL_NAME = re.compile(r"COCO_((?:train|val|test)20\d\d)_\d{12}\.jpg")
_SUBSET = re.compile(r"(?:train|val|test)20\d\d")


class Options(Section):
    """Which caption file is read."""

    file: str = Field(description="Name of the caption file, as in captions_train2017.json.")


@dataclass(frozen=True)
class CocoImage:
    """An image: `id` is the image id padded to twelve digits; width and height in pixels of the original."""

    id: str
    url: str
    width: int
    height: int


def image_id(number: int | str) -> str:
    """Write a COCO image id as the file names do: twelve digits."""
    return f"{int(number):012d}"


def read_images(content: dict[str, Any], path: Path) -> tuple[dict[str, CocoImage], Counter[str]]:
    """Read the `images` of a COCO file; of several entries with one id the first counts."""
    images: dict[str, CocoImage] = {}
    removed: Counter[str] = Counter()
    subset = _SUBSET.search(path.name)
    for position, entry in records(content, "images", path):
        key = image_id(whole_number(entry, "id", path, position))
        if key in images:
            removed["duplicate image id"] += 1
            continue
        file_name = text_of(required(entry, "file_name", path, position))
        width, height = (whole_number(entry, name, path, position) for name in ("width", "height"))
        url = image_url(entry.get("coco_url"), file_name, subset.group() if subset else "train2017")
        images[key] = CocoImage(key, url, width, height)
    return images, removed


def image_url(url: str | None, file_name: str, subset: str = "train2017") -> str:
    """Return the image's address on COCO's server where the file name says it all, or else the one that the file has.

    Args:
        subset: the folder on the server of a name that does not tell it, where the file has no address that is alive.
    """
    told = _FULL_NAME.fullmatch(file_name)
    if told is None and url and urlsplit(url).hostname not in DEAD_HOSTS:
        return url
    return f"http://images.cocodataset.org/{told.group(1) if told else subset}/{file_name}"


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read a caption file; duplicate caption ids and captions of unknown images are counted, not kept.

    `group` of a record is set where the file says which images are compared with each other.
    """
    check_tasks(tasks, "caption")
    path = find_file(folder, options.file)
    content = load_json(path)
    images, removed = read_images(content, path)
    captions: dict[str, Record] = {}
    for position, entry in records(content, "annotations", path):
        caption_id = str(required(entry, "id", path, position))
        key = image_id(whole_number(entry, "image_id", path, position))
        if caption_id in captions:
            removed["duplicate caption id"] += 1
        elif key not in images:
            removed["caption of an unknown image"] += 1
        else:
            text = text_of(required(entry, "caption", path, position))
            captions[caption_id] = Record(caption_id, key, "caption", answers=(text,), group=entry.get("group"))
    return Reading(captions.values(), removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the URLs of the file's images by id, in the order of the file."""
    path = find_file(folder, options.file)
    return {key: image.url for key, image in read_images(load_json(path), path)[0].items()}
