"""Visual Genome: `image_data.json`, `question_answers.json` and `relationships.json` (1.2 and 1.4)."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.data.readers.coco import image_id as coco_image_id
from workflow_scripts.data.readers.common import find_file, load_json, records, required, text_of, whole_number


@dataclass(frozen=True)
class GenomeImage:
    """A picture, in one of two folders on the server; width and height in pixels of the original.

    `coco_id` is that of the same picture in COCO, twelve digits; None for pictures that are not COCO's.
    """

    id: str
    url: str
    width: int
    height: int
    coco_id: str | None = None


@dataclass(frozen=True)
class GenomeQuestion:
    """A question about a picture with its answer."""

    id: str
    image_id: str
    query: str
    answer: str


@dataclass(frozen=True)
class GenomeRelationship:
    """Subject, predicate and object by name."""

    id: str
    image_id: str
    subject: str
    predicate: str
    object: str


def read_images(folder: Path) -> tuple[dict[str, GenomeImage], Counter[str]]:
    """Read `image_data.json`; of several entries with one id the first counts."""
    path = find_file(folder, "image_data.json")
    images: dict[str, GenomeImage] = {}
    removed: Counter[str] = Counter()
    for position, entry in records(load_json(path), None, path):
        # Version 1.0 calls the field id, later ones image_id.
        key = text_of(entry.get("image_id", entry.get("id")))
        if not key:
            raise ValueError(f"Entry {position} of {path} has no field 'image_id'; the layout has changed.")
        if key in images:
            removed["duplicate image id"] += 1
            continue
        url = text_of(required(entry, "url", path, position))
        has_twin = entry.get("coco_id") is not None
        twin = coco_image_id(whole_number(entry, "coco_id", path, position)) if has_twin else None
        width, height = (whole_number(entry, name, path, position) for name in ("width", "height"))
        images[key] = GenomeImage(key, url, width, height, twin)
    return images, removed


def read_questions(folder: Path) -> tuple[list[GenomeQuestion], Counter[str]]:
    """Read `question_answers.json`; duplicates and questions without words or answer are counted, not kept."""
    path = find_file(folder, "question_answers.json")
    questions: list[GenomeQuestion] = []
    removed: Counter[str] = Counter()
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
                questions.append(GenomeQuestion(question_id, image_id, query, answer))
    return questions, removed


def read_relationships(folder: Path) -> tuple[list[GenomeRelationship], Counter[str]]:
    """Read `relationships.json`, or 1.2's; images without any, objects without names and duplicates are counted."""
    path = find_file(folder, "relationships.json", "relationships_v1_2.json")
    relationships: list[GenomeRelationship] = []
    removed: Counter[str] = Counter()
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
                relationships.append(GenomeRelationship(relationship_id, image_id, subject, predicate, object_))
    return relationships, removed


def _name(thing: Any) -> str:
    """Return the name of an object: `name` in relationships of 1.2 and 1.4, `names` elsewhere."""
    if not isinstance(thing, dict):
        return ""
    name = thing.get("name") or next(iter(thing.get("names") or []), "")
    return text_of(name).strip()
