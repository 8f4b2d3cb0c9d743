"""RefCOCO: `refs(unc).p`, a pickle of expressions, and `instances.json`, COCO boxes."""

import io
import pickle
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from workflow_scripts.data.boxes import Box
from workflow_scripts.data.readers.coco import CocoImage, read_images
from workflow_scripts.data.readers.coco import image_id as coco_image_id
from workflow_scripts.data.readers.common import find_file, load_json, records, required, text_of, whole_number

SPLITS = ("train", "val", "testA", "testB")


@dataclass(frozen=True)
class ReferringExpression:
    """A phrase and the box (x, y, w, h in pixels of the original) of the one thing that it means."""

    id: str
    image_id: str
    phrase: str
    box: Box
    split: str


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


def read_expressions(folder: Path) -> tuple[list[ReferringExpression], dict[str, CocoImage], Counter[str]]:
    """Read all phrases with boxes, the images by id, and what was left out.

    A phrase that the file gives to several boxes of one image cannot be answered and is left out of evaluation
    splits; training keeps the first.
    """
    refs_path, instances_path = find_file(folder, "refs(unc).p"), find_file(folder, "instances.json")
    instances = load_json(instances_path)
    images, removed = read_images(instances, instances_path)
    boxes: dict[int, Box] = {
        whole_number(entry, "id", instances_path, position): _box(entry, instances_path, position)
        for position, entry in records(instances, "annotations", instances_path)
    }
    expressions: list[ReferringExpression] = []
    boxes_of_phrase: dict[tuple[str, str], set[int]] = {}
    candidates: list[tuple[ReferringExpression, int]] = []
    seen: set[str] = set()
    for position, ref in records(load_plain_pickle(refs_path), None, refs_path):
        annotation_id = whole_number(ref, "ann_id", refs_path, position)
        key = coco_image_id(whole_number(ref, "image_id", refs_path, position))
        split = text_of(required(ref, "split", refs_path, position))
        if split not in SPLITS:
            raise ValueError(
                f"Entry {position} of {refs_path} has the unknown split {split!r}, expected {', '.join(SPLITS)}."
            )
        for _, sentence in records(ref, "sentences", refs_path):
            sentence_id = text_of(required(sentence, "sent_id", refs_path, position))
            phrase = text_of(sentence.get("sent") or sentence.get("raw")).strip()
            box = boxes.get(annotation_id)
            if sentence_id in seen:
                removed["duplicate sentence id"] += 1
            elif not phrase:
                removed["phrase is empty"] += 1
            elif box is None or key not in images:
                removed["phrase without box or image"] += 1
            elif box[2] <= 0 or box[3] <= 0:
                removed["box without area"] += 1
            else:
                seen.add(sentence_id)
                expression = ReferringExpression(sentence_id, key, phrase, box, split)
                candidates.append((expression, annotation_id))
                boxes_of_phrase.setdefault((key, phrase.lower()), set()).add(annotation_id)
    for expression, _ in candidates:
        key = (expression.image_id, expression.phrase.lower())
        if len(boxes_of_phrase[key]) > 1 and expression.split != "train":
            removed["phrase means several boxes"] += 1
        else:
            expressions.append(expression)
    return expressions, images, removed


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
