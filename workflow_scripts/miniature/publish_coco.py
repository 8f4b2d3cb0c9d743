"""COCO, OK-VQA and RefCOCO files of a world, in the published layouts."""

import random
from collections.abc import Sequence
from typing import Any

from workflow_scripts.miniature import knowledge, language
from workflow_scripts.miniature.odd_packaging import python_2_pickle
from workflow_scripts.miniature.world_parts import Picture, dump

INFO = {
    "description": "A generated world in the layout of COCO",
    "url": "http://cocodataset.org",
    "version": "1.0",
    "year": 2017,
    "contributor": "image search reproduction",
    "date_created": "2017/09/01",
}
LICENCES = [{"url": "https://www.apache.org/licenses/LICENSE-2.0", "id": 1, "name": "Apache License 2.0"}]
ODD_CAPTION_PERIOD = 250


def image_entries(pictures: Sequence[Picture], size: int) -> list[dict[str, Any]]:
    """The `images` list."""
    return [
        {
            "license": 1,
            "file_name": picture.path.rsplit("/", 1)[1],
            "coco_url": picture.url,
            "height": size,
            "width": size,
            "date_captured": "2013-11-14 17:02:52",
            "flickr_url": f"http://farm7.staticflickr.example/{picture.id}_z.jpg",
            "id": int(picture.id),
        }
        for picture in pictures
    ]


def as_written(text: str, rng: random.Random) -> str:
    """A caption as an annotator types it: capital letter and full stop, mostly, and stray blanks, seldom."""
    chance = rng.random()
    if chance < 0.8:
        text = text[0].upper() + text[1:]
    if chance < 0.7 or chance > 0.95:
        text += rng.choice((".", ".", ".", " .", "!"))
    if chance > 0.97:
        text += rng.choice((" ", "\n", "  "))
    return text.upper() if chance > 0.995 else text


def captions_json(pictures: Sequence[Picture], size: int, rng: random.Random, odd: bool) -> bytes:
    """A caption file with five captions an image; `odd` adds what large files have: duplicates, strays, empty ones."""
    annotations: list[dict[str, Any]] = []
    number = 1
    for index, picture in enumerate(pictures):
        for text in language.captions(picture.scene, rng):
            annotations.append({"image_id": int(picture.id), "id": number, "caption": as_written(text, rng)})
            number += 1
        if odd and index % ODD_CAPTION_PERIOD == 5:
            annotations.append(dict(annotations[-1]))
            annotations.append({"image_id": int(picture.id), "id": number, "caption": " \n"})
            annotations.append({"image_id": 999_999_999, "id": number + 1, "caption": "A picture nobody has."})
            number += 2
    content = {"info": INFO, "licenses": LICENCES, "images": image_entries(pictures, size), "annotations": annotations}
    return dump(content)


def colour_matched_json(pictures: Sequence[Picture], size: int, seed: int) -> bytes:
    """One caption an image; within a group all have the same wording, so that they differ in nouns only."""
    annotations = []
    for number, picture in enumerate(pictures, start=1):
        rng = random.Random(f"colour-matched caption {seed} {picture.group}")
        text = as_written(language.captions(picture.scene, rng, 1)[0], rng)
        annotations.append(
            {"image_id": int(picture.id), "id": number, "caption": text, "group": f"{picture.group:05d}"}
        )
    content = {"info": INFO, "licenses": LICENCES, "images": image_entries(pictures, size), "annotations": annotations}
    return dump(content)


# OK-VQA numbers its categories in words.
QUESTION_TYPES = {"one": "Uses", "two": "Materials", "three": "Needs", "four": "Places", "five": "Kinds"}


def _question_type(query: str) -> str:
    for name, topic in zip(QUESTION_TYPES, knowledge.TOPICS, strict=True):
        before, after = topic.query.split("{}")
        if query.startswith(before) and query.endswith(after):
            return name
    return "other"


def okvqa_json(pictures: Sequence[Picture], subset: str, rng: random.Random) -> tuple[bytes, bytes]:
    """The questions and the annotations file of a subset."""
    head = {
        "info": {**INFO, "description": "A generated world in the layout of OK-VQA"},
        "task_type": "Open-Ended",
        "data_type": "mscoco",
        "license": LICENCES[0],
        "data_subtype": subset,
    }
    questions: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for picture in pictures:
        for position, known in enumerate(knowledge.knowledge_questions(picture.scene, rng)):
            question_id = int(picture.id) * 10 + position
            query = known.query[0].upper() + known.query[1:]
            questions.append({"image_id": int(picture.id), "question": query, "question_id": question_id})
            answers = [
                {"answer_id": number, "raw_answer": answer, "answer_confidence": "yes", "answer": answer}
                for number, answer in enumerate(known.answers, start=1)
            ]
            annotations.append(
                {
                    "image_id": int(picture.id),
                    "answer_type": "other",
                    "question_type": _question_type(known.query),
                    "question_id": question_id,
                    "answers": answers,
                    "confidence": 3,
                }
            )
    types = {**QUESTION_TYPES, "other": "Other"}
    return (
        dump({**head, "questions": questions}),
        dump({**head, "annotations": annotations, "question_types": types}),
    )


REFCOCO_SPLITS = {"train": "train", "test": "val", "validation": "testB"}


def refcoco_files(pictures: Sequence[Picture], size: int, rng: random.Random) -> tuple[bytes, bytes]:
    """`refs(unc).p` and `instances.json`; the world's test scenes are val, its validation scenes testB."""
    refs: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    nouns = sorted({thing.noun for picture in pictures for thing in picture.scene.objects})
    sentence_id = 0
    for picture in pictures:
        phrases: dict[int, list[str]] = {}
        for expression in language.expressions(picture.scene, rng):
            phrases.setdefault(expression.object_index, []).append(expression.text)
        for index, thing in enumerate(picture.scene.objects):
            box = [round(value * size, 2) for value in thing.box]
            left, top, width, height = box
            category, annotation_id = nouns.index(thing.noun) + 1, len(annotations) + 1
            annotations.append(
                {
                    "segmentation": [[left, top, left + width, top, left + width, top + height, left, top + height]],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "image_id": int(picture.id),
                    "bbox": box,
                    "category_id": category,
                    "id": annotation_id,
                }
            )
            sentences = []
            for text in phrases.get(index, []):
                sentences.append({"tokens": text.split(), "raw": text, "sent_id": sentence_id, "sent": text})
                sentence_id += 1
            if sentences:
                name = picture.path.rsplit("/", 1)[1].removesuffix(".jpg")
                refs.append(
                    {
                        "sent_ids": [sentence["sent_id"] for sentence in sentences],
                        "file_name": f"{name}_{annotation_id}.jpg",
                        "ann_id": annotation_id,
                        "ref_id": len(refs),
                        "image_id": int(picture.id),
                        "split": REFCOCO_SPLITS[picture.scene.split],
                        "sentences": sentences,
                        "category_id": category,
                    }
                )
    categories = [{"supercategory": "thing", "id": number, "name": noun} for number, noun in enumerate(nouns, start=1)]
    instances = {
        "info": INFO,
        "licenses": LICENCES,
        # The addresses of the published file have been dead since 2017.
        "images": [
            {**entry, "coco_url": f"http://mscoco.org/images/{entry['id']}"} for entry in image_entries(pictures, size)
        ],
        "annotations": annotations,
        "categories": categories,
    }
    return python_2_pickle(refs), dump(instances)
