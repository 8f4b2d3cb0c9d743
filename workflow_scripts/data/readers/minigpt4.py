"""MiniGPT-4's cc_sbu_align: `filter_cap.json` and a folder `image` with `<image_id>.jpg`."""

from collections import Counter
from pathlib import Path

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.common import check_tasks, find_file, load_json, records, required, text_of
from workflow_scripts.data.records import Reading, Record


class Options(Section):
    """The format has one form only."""


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read `filter_cap.json`; empty descriptions and repeated images are counted, not kept."""
    check_tasks(tasks, "description")
    path = find_file(folder, "filter_cap.json")
    descriptions: dict[str, Record] = {}
    removed: Counter[str] = Counter()
    for position, entry in records(load_json(path), "annotations", path):
        image_id = text_of(required(entry, "image_id", path, position))
        text = text_of(required(entry, "caption", path, position)).strip()
        if image_id in descriptions:
            removed["duplicate image id"] += 1
        elif not text:
            removed["description is empty"] += 1
        else:
            descriptions[image_id] = Record(image_id, image_id, "description", answers=(text,))
    return Reading(descriptions.values(), removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the file names of the images that are described, by id."""
    return {one.image_id: f"{one.image_id}.jpg" for one in read(folder, options, frozenset({"description"})).records}
