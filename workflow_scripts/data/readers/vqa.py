"""The format of VQA v1, VQA v2 and OK-VQA: a file of questions, and one of annotations with ten answers each.

The questions are in files such as `v2_OpenEnded_mscoco_val2014_questions.json`, the answers in
`v2_mscoco_val2014_annotations.json`; those of test parts are not published.
"""

from collections import Counter
from pathlib import Path
from string import Formatter
from typing import Any

from pydantic import Field, field_validator

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


class Options(Section):
    """Which files are read, and where the images are."""

    questions: str = Field(description="Name of the file of questions.")
    annotations: str | None = Field(None, description="Name of the file of answers; null where none is published.")
    image: str = Field(
        "{}.jpg",
        description="URL or file name of an image, with a place for its id, as in .../COCO_val2014_{:012d}.jpg.",
    )
    task: str = Field("vqa", description="Task of the records.")
    part: str = Field("", description="The data set's own name of the part that the files are.")

    @field_validator("image")
    @classmethod
    def _has_a_place_for_the_id(cls, image: str) -> str:
        try:
            fields = [field for _, field, _, _ in Formatter().parse(image) if field is not None]
            is_right = fields == [""] and bool(image.format(0))
        except (ValueError, LookupError):
            is_right = False
        if not is_right:
            raise ValueError(f"{image!r} needs one place for the image's id, as in COCO_val2014_{{:012d}}.jpg")
        return image

    @property
    def digits(self) -> str:
        """How an image's id is written: what stands in the place for it, `012d`."""
        return next(spec or "" for _, field, spec, _ in Formatter().parse(self.image) if field is not None)


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read the questions with their annotations; unpaired ones are counted, not kept.

    The kind is the annotation's question type, by the name that the file gives to it.
    """
    check_tasks(tasks, options.task)
    if options.annotations is None:
        raise ValueError(
            f"The questions of {options.questions} have no answers: the reader vqa reads them where its option "
            "annotations names the file of answers; without it there are only images."
        )
    question_path, annotation_path = find_file(folder, options.questions), find_file(folder, options.annotations)
    content = load_json(annotation_path)
    annotations = {
        text_of(required(entry, "question_id", annotation_path, position)): entry
        for position, entry in records(content, "annotations", annotation_path)
    }
    kinds = content.get("question_types") if isinstance(content, dict) else None
    questions: dict[str, Record] = {}
    removed: Counter[str] = Counter()
    for position, entry in records(load_json(question_path), "questions", question_path):
        question_id = text_of(required(entry, "question_id", question_path, position))
        annotation = annotations.get(question_id)
        if question_id in questions:
            removed["duplicate question id"] += 1
            continue
        if annotation is None:
            removed["question without annotation"] += 1
            continue
        answers = [
            (text_of(required(answer, "answer", annotation_path, place)), answer.get("raw_answer"))
            for place, answer in records(annotation, "answers", annotation_path)
        ]
        if not answers:
            removed["question without answers"] += 1
            continue
        kind = text_of(annotation.get("question_type"))
        kind = text_of(kinds.get(kind, kind)) if isinstance(kinds, dict) else kind
        has_spoken = any(raw is not None for _, raw in answers)
        questions[question_id] = Record(
            question_id,
            _image_id(entry, options, question_path, position),
            options.task,
            text_of(required(entry, "question", question_path, position)),
            tuple(answer for answer, _ in answers),
            tuple(answer if raw is None else text_of(raw) for answer, raw in answers) if has_spoken else (),
            kind=kind.lower() or None,
            part=options.part,
        )
    return Reading(questions.values(), removed)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return the URLs or file names of the images that are asked about, by id."""
    if options.annotations is not None:
        ids = [record.image_id for record in read(folder, options, frozenset({options.task})).records]
    else:
        path = find_file(folder, options.questions)
        entries = records(load_json(path), "questions", path)
        ids = [_image_id(entry, options, path, position) for position, entry in entries]
    return {key: options.image.format(int(key) if options.digits else key) for key in ids}


def _image_id(entry: dict[str, Any], options: Options, path: Path, position: int) -> str:
    """The id as the names of images have it: twelve digits, where the option `image` has {:012d}."""
    if not options.digits:
        return text_of(required(entry, "image_id", path, position))
    return format(whole_number(entry, "image_id", path, position), options.digits)
