"""GQA: `testdev_balanced_questions.json` and its like, an object with a question under each id."""

from collections import Counter
from pathlib import Path

from pydantic import Field

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.common import check_tasks, find_file, load_json, required, text_of
from workflow_scripts.data.records import Reading, Record


class Options(Section):
    """Which question file is read."""

    file: str = Field(description="Name of the question file, as in testdev_balanced_questions.json.")


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read a question file of GQA; questions without words or answer are counted, not kept.

    The kind is GQA's structural type: query, verify, choose, compare or logical.
    """
    check_tasks(tasks, "vqa")
    path = find_file(folder, options.file)
    content = load_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"The annotation file {path} should hold an object of questions; it has another layout.")
    questions: list[Record] = []
    removed: Counter[str] = Counter()
    for position, (key, entry) in enumerate(content.items()):
        if not isinstance(entry, dict):
            raise ValueError(f"Entry {key!r} of {path} is not an object; it has another layout.")
        image_id = text_of(required(entry, "imageId", path, position))
        query = text_of(required(entry, "question", path, position)).strip()
        answer = text_of(required(entry, "answer", path, position)).strip()
        types = entry.get("types")
        kind = text_of(types.get("structural")) if isinstance(types, dict) else ""
        if not query or not answer:
            removed["question or answer is empty"] += 1
        else:
            questions.append(Record(key, image_id, "vqa", query, (answer,), kind=kind or None))
    return Reading(questions, removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the file names of the images that are asked about, by id."""
    return {one.image_id: f"{one.image_id}.jpg" for one in read(folder, options, frozenset({"vqa"})).records}
