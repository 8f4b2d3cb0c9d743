"""How a record becomes a sample or a question of a task: query, answer and kind, as the task's row says."""

import random
from collections.abc import Sequence

from workflow_scripts.catalogue.benchmarks import CAPTION, Task, split_part
from workflow_scripts.catalogue.load import Catalogue
from workflow_scripts.data.boxes import format_box
from workflow_scripts.data.records import Record
from workflow_scripts.data.text import (
    caption_of_lavis,
    normalise_answer,
    normalise_caption,
    normalise_query,
    question_kind,
)

_CAPTION = {"paper": normalise_caption, "lavis": caption_of_lavis}


def choose(templates: Sequence[str], rng: random.Random) -> str:
    """Draw a wording; where there is one only, nothing is drawn."""
    return templates[0] if len(templates) == 1 else rng.choice(templates)


class Wording:
    """Words the records of a part, `data set/task`, or those captions that it is made from.

    Args:
        catalogue: holds the rows of the part's task and of the task of the records.
        part: what is worded.
        rng: draws wordings, one after the other.
        clean: how captions are cleaned, as benchmarks have it.
    """

    def __init__(self, catalogue: Catalogue, part: str, rng: random.Random, clean: str = "paper") -> None:
        self.part, self.task = part, split_part(part)[1]
        self.native = catalogue.native_task(part)
        self.rng = rng
        self._clean_caption = _CAPTION[clean]
        self._row: Task = catalogue.task(self.task)

    @property
    def about_captions(self) -> bool:
        """Whether the records are captions."""
        return self.native == CAPTION

    @property
    def needs_query(self) -> bool:
        """Whether a sample without a query has nothing to learn from: a caption has none."""
        return self.task != CAPTION

    @property
    def templates(self) -> list[str]:
        """Wordings of the query; none takes the record's own."""
        return self._row.templates if self.task == self.native else self._row.of_captions

    @property
    def of_statements(self) -> bool:
        """Whether captions are said to be true or false."""
        return self._row.statements and self.task != self.native

    @property
    def one_question(self) -> bool:
        """Whether the same words about an image are one question with several answers."""
        return self._row.one_question

    def key(self, record: Record) -> tuple[str, ...]:
        """Return what two records share that are one question."""
        words = (f"{name}={normalise_query(text)}" for name, text in sorted(record.words.items()))
        return (record.image_id, normalise_query(record.query), *words)

    def caption(self, record: Record) -> str:
        """Return a caption as it stands in a query or an answer."""
        return self._clean_caption(record.said)

    def query(self, record: Record) -> str:
        """Return the query of a record; draws its wording where there are several."""
        if not self.templates:
            return normalise_query(record.query)
        template = choose(self.templates, self.rng)
        words = {name: normalise_query(text) for name, text in record.words.items()}
        if self.about_captions:
            words |= {CAPTION: self.caption(record)}
        try:
            return normalise_query(template.format(**words))
        except KeyError as error:
            raise ValueError(
                f"tasks.{self.task}: the template {template!r} needs {error.args[0]!r}, which the record {record.id} "
                f"of {split_part(self.part)[0]} has not; it has {', '.join(sorted(words)) or 'no words'}."
            ) from None

    def clean(self, record: Record, text: str) -> str:
        """Return an answer as it is learned and scored."""
        if self._row.answer == "box":
            return self._box(record)
        if self.about_captions:
            text = self._clean_caption(text)
        if self._row.answer == "caption":
            return self._clean_caption(text)
        return normalise_answer(text) if self._row.answer == "answer" else normalise_query(text)

    def clean_all(self, record: Record, texts: Sequence[str]) -> list[str]:
        """Return all answers of a record, cleaned; a box is one."""
        return [self._box(record)] if self._row.answer == "box" else [self.clean(record, text) for text in texts]

    def _box(self, record: Record) -> str:
        """The box of a record in text; none where nobody knows the size of its image, as it could not be fetched."""
        if record.box is None:
            raise ValueError(f"{self.part}: the record {record.id} has no box to answer with.")
        return format_box(record.box, *record.size) if record.size else ""

    def kind(self, record: Record | None, query: str, answer: str) -> str:
        """Return the kind of a question for break-downs: the record's own, or else what the task's row says."""
        if record is not None and record.kind:
            return record.kind
        if self._row.kind == "by_question":
            return question_kind(query)
        return answer if self._row.kind == "by_answer" else self._row.kind or self.task
