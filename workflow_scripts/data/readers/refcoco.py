"""RefCOCO: `refs(unc).p`, a pickle of expressions, and `instances.json`, COCO boxes."""

import io
import pickle
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from pydantic import Field

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.coco import CocoImage, read_images
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
from workflow_scripts.data.records import Box, Reading, Record
from workflow_scripts.data.text import expression_kind

PARTS = ("train", "val", "testA", "testB")


class Options(Section):
    """What the records are called."""

    task: str = Field("refcoco", description="Task of the records.")


class _PlainUnpickler(pickle.Unpickler):
    """Reads pickles of plain values only: a pickle that names a class or a function could run anything."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def load_plain_pickle(path: Path) -> Any:
    """Read a pickle of lists, dictionaries, strings and numbers; anything else is a ValueError."""
    try:
        # The published file was written by Python 2, whose strings are bytes.
        return _PlainUnpickler(io.BytesIO(Path(path).read_bytes()), encoding="utf-8").load()
    except FileNotFoundError:
        raise ValueError(f"The annotation file {path} does not exist; fetch RefCOCO first.") from None
    except (pickle.UnpicklingError, EOFError, UnicodeDecodeError, ValueError, IndexError, KeyError) as error:
        raise ValueError(f"{path} is not a pickle of plain values ({error}); fetch RefCOCO again.") from error


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read all phrases with boxes, of all parts: train, val, testA and testB.

    A phrase that the file gives to several boxes of one image cannot be answered and is left out of evaluation
    parts; training keeps the first.
    """
    check_tasks(tasks, options.task)
    expressions, _, removed = _read(folder, options.task)
    return Reading(expressions, removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the URLs of the images with phrases by COCO id."""
    expressions, there, _ = _read(folder, options.task)
    return {one.image_id: there[one.image_id].url for one in expressions}


def _read(folder: Path, task: str) -> tuple[list[Record], dict[str, CocoImage], Counter[str]]:
    """Phrases, the images by id, and what was left out."""
    refs_path, instances_path = find_file(folder, "refs(unc).p"), find_file(folder, "instances.json")
    instances = load_json(instances_path)
    there, removed = read_images(instances, instances_path)
    boxes: dict[int, Box] = {
        whole_number(entry, "id", instances_path, position): _box(entry, instances_path, position)
        for position, entry in records(instances, "annotations", instances_path)
    }
    expressions: list[Record] = []
    boxes_of_phrase: dict[tuple[str, str], set[int]] = {}
    candidates: list[Record] = []
    seen: set[str] = set()
    for position, ref in records(load_plain_pickle(refs_path), None, refs_path):
        annotation_id = whole_number(ref, "ann_id", refs_path, position)
        key = coco_image_id(whole_number(ref, "image_id", refs_path, position))
        part = text_of(required(ref, "split", refs_path, position))
        if part not in PARTS:
            raise ValueError(
                f"Entry {position} of {refs_path} has the unknown split {part!r}, expected {', '.join(PARTS)}."
            )
        for _, sentence in records(ref, "sentences", refs_path):
            sentence_id = text_of(required(sentence, "sent_id", refs_path, position))
            phrase = text_of(sentence.get("sent") or sentence.get("raw")).strip()
            box = boxes.get(annotation_id)
            if sentence_id in seen:
                removed["duplicate sentence id"] += 1
            elif not phrase:
                removed["phrase is empty"] += 1
            elif box is None or key not in there:
                removed["phrase without box or image"] += 1
            elif box[2] <= 0 or box[3] <= 0:
                removed["box without area"] += 1
            else:
                seen.add(sentence_id)
                candidates.append(_record(sentence_id, there[key], task, phrase, box, part))
                boxes_of_phrase.setdefault((key, phrase.lower()), set()).add(annotation_id)
    for expression in candidates:
        key = (expression.image_id, expression.words["expression"].lower())
        if len(boxes_of_phrase[key]) > 1 and expression.part != "train":
            removed["phrase means several boxes"] += 1
        else:
            expressions.append(expression)
    return expressions, there, removed


def _record(sentence_id: str, image: CocoImage, task: str, phrase: str, box: Box, part: str) -> Record:
    return Record(
        sentence_id,
        image.id,
        task,
        words={"expression": phrase},
        box=box,
        size=(image.width, image.height),
        kind=expression_kind(phrase),
        part=part,
    )


def _box(entry: dict[str, Any], path: Path, position: int) -> Box:
    """The box of an annotation; anything but four numbers is a ValueError."""
    value = required(entry, "bbox", path, position)
    try:
        x, y, width, height = map(float, value)
    except (TypeError, ValueError):
        raise ValueError(
            f"Entry {position} of {path} has bbox = {value!r}, expected the numbers x, y, width, height."
        ) from None
    return x, y, width, height
