"""Questions of one part of a benchmark, as rows of the table that evaluations read, and what was left out."""

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

from workflow_scripts.data.parts import NOT_FETCHED, PartSource
from workflow_scripts.data.records import Record
from workflow_scripts.data.statements import Caption, make_statements
from workflow_scripts.data.tables import natural_key
from workflow_scripts.data.text import normalise_query
from workflow_scripts.data.wording import Wording

Row = dict[str, Any]


class QuestionTable:
    """The questions of a part; their queries are worded at once, and they are drawn later.

    Captions are one question an image, whose first caption is the answer. Where captions are said to be true or false,
    each that is drawn is said of its own image and of another one.
    """

    def __init__(self, source: PartSource, wording: Wording, records: Iterable[Record], removed: Counter[str]) -> None:
        self.source, self.wording, self.removed = source, wording, removed
        self._captions: list[Caption] = []
        self._rows: list[Row] = []
        if wording.of_statements:
            self._captions = [
                Caption(record.id, record.image_id, text)
                for record in records
                if (text := wording.caption(record)) and record.image_id in source.image_set.images
            ]
        elif wording.about_captions:
            self._rows = self._about_captions(records)
        else:
            self._rows = self._about_records(records)

    def __len__(self) -> int:
        return 2 * len(self._captions) if self.wording.of_statements else len(self._rows)

    def _about_records(self, records: Iterable[Record]) -> list[Row]:
        rows: list[Row] = []
        asked: dict[tuple[str, ...], Row] = {}
        for record in records:
            answers = self.wording.clean_all(record, record.answers)
            key = self.wording.key(record) if self.wording.one_question else (record.id,)
            if self.wording.one_question and key in asked:
                known = asked[key]["answers"]
                known.extend(answer for answer in answers if answer not in known)
                continue
            row = self._row(record, self.wording.clean(record, record.answer), answers)
            if row:
                rows.append(row)
                asked[key] = row
        return rows

    def _about_captions(self, records: Iterable[Record]) -> list[Row]:
        rows: dict[str, Row] = {}
        for record in records:
            if not self.source.asked_for(record.image_id):
                continue
            answer = self.wording.clean(record, record.answer)
            if record.image_id in rows:
                rows[record.image_id]["answers"].append(answer)
                continue
            row = self._row(record, answer, [answer])
            if row:
                rows[record.image_id] = row
        return list(rows.values())

    def _row(self, record: Record, answer: str, answers: list[str]) -> Row | None:
        """A question as a row of the table; None, and counted, without image or words."""
        query = self.wording.query(record)
        if record.image_id not in self.source.image_set.images:
            self.removed[NOT_FETCHED] += 1
            return None
        if not answer:
            self.removed["answer is empty"] += 1
            return None
        own = record if self.wording.task == self.wording.native else None
        more = {"kind": self.wording.kind(own, query, answer), "group": record.group}
        row = {"id": record.id, "query": query, "answer": answer, "answers": answers, "task": self.wording.task}
        return {**row, **more, **self.source.place(record.image_id, record)}

    def draw(self, count: int | None, rng: random.Random) -> list[Row]:
        """Draw `count` rows (all for None), in the order of their ids; too few are a ValueError."""
        if count is not None and count > len(self):
            captions = f"{len(self._captions)} captions give " if self.wording.of_statements else "there are "
            raise ValueError(
                f"The benchmark wants {count} questions of {self.wording.part} about {self.source.image_set.name} "
                f"({self.source.split}), but {captions}{len(self)}; lower its number of questions, or leave it out to "
                "take all."
            )
        if self.wording.of_statements:
            chosen = self._captions if count is None else rng.sample(self._captions, (count + 1) // 2)
            rows = self._statements(chosen, rng)
        else:
            rows = self._rows if count is None else rng.sample(self._rows, count)
        return sorted(rows, key=lambda row: natural_key(row["id"]))[:count]

    def _statements(self, captions: list[Caption], rng: random.Random) -> list[Row]:
        rows = []
        for item in make_statements(captions, self.wording.templates, rng) if captions else []:
            query, answer = normalise_query(item.query), item.answer
            row = {"id": item.id, "query": query, "answer": answer, "answers": [answer], "task": self.wording.task}
            kind = self.wording.kind(None, query, answer)
            rows.append({**row, "kind": kind, "group": None, **self.source.place(item.image_id)})
        return rows
