"""OK-VQA: `OpenEnded_mscoco_*_questions.json` and `mscoco_*_annotations.json`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.readers.coco import image_id as coco_image_id
from workflow_scripts.data.readers.common import find_file, load_json, records, required, text_of, whole_number

SUBSETS = ("train2014", "val2014")


@dataclass(frozen=True)
class KnowledgeQuestion:
    """A question with the answers of ten annotators; `answers` are stemmed (the official scorer uses them)."""

    id: str
    image_id: str
    query: str
    answers: tuple[str, ...]
    raw_answers: tuple[str, ...]
    category: str

    @property
    def answer(self) -> str:
        """The answer that most annotators gave; among equals, the first."""
        return Counter(self.answers).most_common(1)[0][0]

    @property
    def raw_answer(self) -> str:
        """The same before stemming: what a person would say."""
        return Counter(self.raw_answers).most_common(1)[0][0]


def read_questions(folder: Path, subset: str) -> tuple[list[KnowledgeQuestion], Counter[str]]:
    """Read the questions of `train2014` or `val2014` with their annotations; unpaired ones are counted."""
    if subset not in SUBSETS:
        raise ValueError(f"OK-VQA has no subset {subset!r}; choose one of {', '.join(SUBSETS)}.")
    question_path = find_file(folder, f"OpenEnded_mscoco_{subset}_questions.json")
    annotation_path = find_file(folder, f"mscoco_{subset}_annotations.json")
    content = load_json(annotation_path)
    annotations = {
        text_of(required(entry, "question_id", annotation_path, position)): entry
        for position, entry in records(content, "annotations", annotation_path)
    }
    categories = content.get("question_types") or {}
    questions: dict[str, KnowledgeQuestion] = {}
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
        questions[question_id] = KnowledgeQuestion(
            question_id,
            coco_image_id(whole_number(entry, "image_id", question_path, position)),
            text_of(required(entry, "question", question_path, position)),
            tuple(answer for answer, _ in answers),
            tuple(answer if raw is None else text_of(raw) for answer, raw in answers),
            text_of(categories.get(kind, kind)),
        )
    return list(questions.values()), removed


def image_url(image: str, subset: str) -> str:
    """Return the URL of a COCO 2014 picture."""
    return f"http://images.cocodataset.org/{subset}/COCO_{subset}_{image}.jpg"
