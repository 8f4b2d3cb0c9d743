"""GQA: `testdev_balanced_questions.json` and its like, an object with a question under each id."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.readers.common import find_file, load_json, required, text_of


@dataclass(frozen=True)
class SceneQuestion:
    """A question with its one answer; `kind` is GQA's structural type (query, verify, choose, compare, logical)."""

    id: str
    image_id: str
    query: str
    answer: str
    kind: str


def read_questions(folder: Path, file: str) -> tuple[list[SceneQuestion], Counter[str]]:
    """Read a question file of GQA; questions without words or answer are counted, not kept."""
    path = find_file(folder, file)
    content = load_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"The annotation file {path} should hold an object of questions; it has another layout.")
    questions: list[SceneQuestion] = []
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
            questions.append(SceneQuestion(text_of(key), image_id, query, answer, kind))
    return questions, removed
