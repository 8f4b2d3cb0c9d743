"""Visual Genome and MiniGPT-4 files of a world, in the published layouts."""

import random
from collections.abc import Sequence
from typing import Any

from workflow_scripts.miniature import language
from workflow_scripts.miniature.questions import questions
from workflow_scripts.miniature.scenes import SceneObject
from workflow_scripts.miniature.world_parts import Picture, dump

ODD_PERIOD = 200


def image_data(pictures: Sequence[Picture], size: int) -> bytes:
    """`image_data.json`; one image stands in it twice, as some do in the published file's predecessors."""
    entries = [
        {
            "image_id": int(picture.id),
            "url": picture.url,
            "width": size,
            "height": size,
            "coco_id": None,
            "flickr_id": None,
        }
        for picture in pictures
    ]
    return dump([*entries, entries[0]])


def question_answers(pictures: Sequence[Picture], rng: random.Random) -> bytes:
    """`question_answers.json`: questions with a capital letter, answers with capital letter and full stop."""
    entries: list[dict[str, Any]] = []
    qa_id = 985000
    for picture in pictures:
        qas = []
        for question in questions(picture.scene, rng):
            qas.append(
                {
                    "a_objects": [],
                    "question": _sentence(question.query),
                    "image_id": int(picture.id),
                    "qa_id": qa_id,
                    "answer": f"{_sentence(question.answer)}.",
                    "q_objects": [],
                }
            )
            qa_id += 1
        # Ids are numbers, and in some releases text.
        entries.append({"id": picture.id if len(entries) % ODD_PERIOD == 3 else int(picture.id), "qas": qas})
        if len(entries) % ODD_PERIOD == 1:
            qas.append(dict(qas[0]))
            qas.append({**qas[0], "qa_id": qa_id, "answer": ""})
            qa_id += 1
    return dump(entries)


def relationships(pictures: Sequence[Picture], size: int, rng: random.Random) -> bytes:
    """`relationships.json` of version 1.4: `name` of most things, `names` of some, images without any."""
    entries: list[dict[str, Any]] = []
    number = 15927
    for index, picture in enumerate(pictures):
        found = []
        for relation in language.relationships(picture.scene, rng):
            ends = []
            for position, name in ((relation.subject, relation.subject_name), (relation.object, relation.object_name)):
                thing = _thing(picture.scene.objects[position], int(picture.id) * 10 + position, size)
                ends.append(thing | ({"names": [name]} if number % 50 == 0 else {"name": name}))
            found.append(
                {
                    "predicate": relation.predicate,
                    "object": ends[1],
                    "relationship_id": number,
                    "synsets": [],
                    "subject": ends[0],
                }
            )
            number += 1
        if index % ODD_PERIOD == 9 and found:
            found.append(dict(found[0]))
            nameless = {key: value for key, value in found[0]["object"].items() if key not in ("name", "names")}
            found.append({**found[0], "relationship_id": number, "object": {**nameless, "names": []}})
            number += 1
        entries.append({"relationships": found, "image_id": int(picture.id)})
    return dump(entries)


def filter_cap(pictures: Sequence[Picture], rng: random.Random) -> bytes:
    """MiniGPT-4's `filter_cap.json`."""
    annotations = []
    for picture in pictures:
        sentences = language.description(picture.scene, rng).split(". ")
        text = ". ".join(_sentence(sentence) for sentence in sentences)
        annotations.append({"image_id": picture.id if len(annotations) % 5 else int(picture.id), "caption": text})
    return dump({"annotations": annotations})


def _thing(thing: SceneObject, object_id: int, size: int) -> dict[str, Any]:
    x, y, width, height = (round(value * size) for value in thing.box)
    return {"h": height, "object_id": object_id, "merged_object_ids": [], "synsets": [], "w": width, "y": y, "x": x}


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
