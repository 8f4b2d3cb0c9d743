"""Questions about pictures with captions (search, describe, is it true?) and about photographs of rooms."""

from dataclasses import replace
from pathlib import Path

from workflow_scripts.data.captions import read_captions
from workflow_scripts.data.question_table import QuestionTable, Row
from workflow_scripts.data.readers import daquar
from workflow_scripts.data.statements import make_statements
from workflow_scripts.data.text import normalise_caption, normalise_query, room_question_kind
from workflow_scripts.sources.registry import ImageList


def about_captions(table: QuestionTable, entry: ImageList, folder: Path) -> list[Row]:
    """One question an image, without words: its first caption is the answer, all of its captions are in `answers`."""
    captions, removed = read_captions(entry, folder)
    table.removed.update(removed)
    rows: dict[str, Row] = {}
    known = table.image_set.images.keys() | table.image_set.failed.keys()
    for item in captions:
        text = normalise_caption(item.text)
        if item.image_id not in known:
            continue
        if item.image_id in rows:
            rows[item.image_id]["answers"].append(text)
            continue
        row = table.row(item.id, item.image_id, "", text, "caption", group=item.group)
        if row:
            rows[item.image_id] = row
    return table.sample(list(rows.values()), table.settings.questions)


def about_truth(table: QuestionTable, entry: ImageList, folder: Path) -> list[Row]:
    """Is this caption true of the picture? Each of the drawn captions is asked of its own picture and of another."""
    captions, removed = read_captions(entry, folder)
    table.removed.update(removed)
    there = [replace(caption, text=normalise_caption(caption.text)) for caption in captions]
    there = [caption for caption in there if caption.image_id in table.image_set.images and caption.text]
    count = table.settings.questions
    if count is not None:
        if count > 2 * len(there):
            raise ValueError(
                f"The benchmark wants {count} questions about {table.image_set.name}, but {len(there)} captions give "
                f"{2 * len(there)}; lower its number of questions, or leave it out to take all."
            )
        there = table.rng.sample(there, (count + 1) // 2)
    rows = []
    for item in make_statements(there, table.rng):
        row = table.row(item.id, item.image_id, item.query, item.answer, "is_true")
        assert row is not None, "only captions of pictures that are there are asked"
        rows.append({**row, "kind": item.answer})
    return table.sample(rows, None)[:count]


def about_rooms(table: QuestionTable, entry: ImageList, folder: Path) -> list[Row]:
    """Questions of DAQUAR: all of its test file, or those of the training file's pictures that are held out."""
    questions, removed = daquar.read_questions(folder, entry.subset or "")
    table.removed.update(removed)
    rows = []
    for item in questions:
        if entry.subset == "train" and table.splits.of(item.image_id) != table.split:
            continue
        query, answer = normalise_query(item.query), normalise_query(item.answer)
        row = table.row(item.id, item.image_id, query, answer, "vqa", kind=room_question_kind(query))
        if row:
            rows.append(row)
    return table.sample(rows, table.settings.questions)
