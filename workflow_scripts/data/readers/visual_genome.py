"""Visual Genome: `image_data.json`, `question_answers.json` and `relationships.json` (1.2 and 1.4)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.coco import image_id as coco_image_id
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


class Options(Section):
    """The format has one form only."""


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read the questions (task vqa) and the relationships (task relationship), of the tasks that are asked for only.

    Duplicates, questions without words or answer, images without relationships and objects without names are counted,
    not kept.
    """
    check_tasks(tasks, "vqa", "relationship")
    removed: Counter[str] = Counter()
    found: list[Record] = []
    if "vqa" in tasks:
        found += _questions(folder, removed)
    if "relationship" in tasks:
        found += _relationships(folder, removed)
    return Reading(found, removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the URLs of the images by id; they lie in one of two folders on the server."""
    return {key: url for key, (url, _) in _image_data(folder).items()}


def twins(folder: Path, options: Options) -> dict[str, str]:
    """Return the COCO ids, twelve digits, of the images that are COCO's, by id."""
    return {key: coco_id for key, (_, coco_id) in _image_data(folder).items() if coco_id}


def _image_data(folder: Path) -> dict[str, tuple[str, str | None]]:
    """URL and COCO id by id; of several entries with one id the first counts."""
    path = find_file(folder, "image_data.json")
    found: dict[str, tuple[str, str | None]] = {}
    for position, entry in records(load_json(path), None, path):
        # Version 1.0 calls the field id, later ones image_id.
        key = text_of(entry.get("image_id", entry.get("id")))
        if not key:
            raise ValueError(f"Entry {position} of {path} has no field 'image_id'; the layout has changed.")
        url = text_of(required(entry, "url", path, position))
        has_twin = entry.get("coco_id") is not None
        twin = coco_image_id(whole_number(entry, "coco_id", path, position)) if has_twin else None
        found.setdefault(key, (url, twin))
    return found


def _questions(folder: Path, removed: Counter[str]) -> Iterator[Record]:
    """The questions of `question_answers.json`."""
    path = find_file(folder, "question_answers.json")
    seen: set[str] = set()
    for position, image in records(load_json(path), None, path):
        for _, entry in records(image, "qas", path):
            question_id = text_of(required(entry, "qa_id", path, position))
            image_id = text_of(entry.get("image_id", image.get("id", image.get("image_id"))))
            query, answer = text_of(entry.get("question")).strip(), text_of(entry.get("answer")).strip()
            if question_id in seen:
                removed["duplicate question id"] += 1
            elif not query or not answer:
                removed["question or answer is empty"] += 1
            else:
                seen.add(question_id)
                yield Record(f"qa-{question_id}", image_id, "vqa", query, (answer,))


def _relationships(folder: Path, removed: Counter[str]) -> Iterator[Record]:
    """The relationships of `relationships.json`, or of 1.2's file."""
    path = find_file(folder, "relationships.json", "relationships_v1_2.json")
    seen: set[str] = set()
    for position, image in records(load_json(path), None, path):
        image_id = text_of(required(image, "image_id", path, position))
        entries = list(records(image, "relationships", path))
        if not entries:
            removed["image without relationships"] += 1
        for _, entry in entries:
            relationship_id = text_of(required(entry, "relationship_id", path, position))
            subject, object_ = _name(entry.get("subject")), _name(entry.get("object"))
            predicate = text_of(entry.get("predicate")).strip()
            if relationship_id in seen:
                removed["duplicate relationship id"] += 1
            elif not subject or not object_:
                removed["object without a name"] += 1
            elif not predicate:
                removed["predicate is empty"] += 1
            else:
                seen.add(relationship_id)
                answer = f"{subject} {predicate} {object_}"
                words = {"subject": subject, "object": object_}
                key = f"relationship-{relationship_id}"
                yield Record(key, image_id, "relationship", answers=(answer,), words=words)


def _name(thing: Any) -> str:
    """Return the name of an object: `name` in relationships of 1.2 and 1.4, `names` elsewhere."""
    if not isinstance(thing, dict):
        return ""
    name = thing.get("name") or next(iter(thing.get("names") or []), "")
    return text_of(name).strip()
