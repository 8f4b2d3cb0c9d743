"""Corpora from real pairs: what the small models learn from where there is no miniature world."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.small_models import pair_captions, write_text_corpus

NUMBER = 60


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Two captions a picture."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [
        (f"greys/{n}", f"{text} {n}") for n in range(NUMBER) for text in ("a grey wall", "nothing but concrete, number")
    ]
    images, answers = zip(*rows, strict=True)
    pq.write_table(pa.table({"image": images, "answer": answers}), folder / "samples.parquet")
    return folder


def test_a_share_is_held_out_and_the_language_model_does_not_read_it(pairs, tmp_path):
    write_text_corpus.main(["--pairs", str(pairs / "samples.parquet"), "--output", str(tmp_path)])
    lines = [json.loads(line) for line in (tmp_path / "text.jsonl").read_text().splitlines()]
    held_out = {n for n in range(NUMBER) if pair_captions.split_of(f"greys/{n}") == "validation"}
    assert held_out
    assert {int(line["answer"].split()[-1]) for line in lines} == set(range(NUMBER)) - held_out


def read_lines(folder, name="text.jsonl"):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_the_context_is_the_words_of_another_caption_of_the_same_picture(pairs, tmp_path):
    write_text_corpus.main(["--pairs", str(pairs / "samples.parquet"), "--output", str(tmp_path)])
    lines = [line for line in read_lines(tmp_path) if line["context"]]
    assert len(lines) > NUMBER / 2
    for line in lines:
        about_walls = line["answer"].startswith("a grey wall")
        words = set(line["context"].replace(";", "").split()) - {line["answer"].split()[-1]}
        assert words == ({"nothing", "but", "concrete", "number"} if about_walls else {"grey", "wall"})


@pytest.fixture(scope="module")
def mix(pairs):
    """Questions about forty rooms, and wordings of the other tasks."""
    rows = [
        (f"rooms/{n}", f"what is beside thing {n} {k}?", f"answer {n} {k}", "vqa") for n in range(40) for k in range(3)
    ]
    rows += [(f"rooms/{n}", "how many walls are there?", str(n), "vqa") for n in range(40)]
    rows.append(("greys/1", "describe this image.", "a grey wall 1", "description"))
    rows.append(("greys/1", "is this true of the picture: a grey wall 7?", "no", "is_true"))
    columns = zip(*rows, strict=True)
    table = pa.table(dict(zip(("image", "query", "answer", "task"), map(list, columns), strict=True)))
    pq.write_table(table, pairs / "mix.parquet")
    return pairs / "mix.parquet"


@pytest.fixture(scope="module")
def mixed(pairs, mix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    write_text_corpus.main(["--pairs", str(pairs / "samples.parquet"), "--mix", str(mix), "--output", str(folder)])
    return folder


def test_tasks_of_a_mix_are_asked_in_its_wordings(mixed):
    lines = read_lines(mixed)
    assert {line["task"] for line in lines} == {"caption", "description", "is_true", "vqa"}
    assert {line["prompt"] for line in lines if line["task"] == "description"} == {"describe this image."}
    truths = [line for line in lines if line["task"] == "is_true"]
    assert all(line["prompt"].startswith("is this true of the picture: ") for line in truths)
    assert sum(line["answer"] == "yes" for line in truths) * 2 == len(truths)


def test_held_out_pictures_of_both_kinds_are_in_the_validation_file_only(mixed):
    held_out = {f"answer {n} {k}" for n in range(40) for k in range(3)} & {
        f"answer {n} {k}" for n in range(40) for k in range(3) if pair_captions.split_of(f"rooms/{n}") == "validation"
    }
    assert held_out
    trained = " ".join(line["context"] + line["answer"] for line in read_lines(mixed))
    assert not any(answer in trained for answer in held_out)
    asked = {line["answer"] for line in read_lines(mixed, "validation.jsonl") if line["task"] == "vqa"}
    assert len(asked & held_out) > 0


def test_questions_are_asked_behind_other_answers_about_the_picture_and_sometimes_behind_nothing(mixed):
    lines = [line for line in read_lines(mixed) if line["task"] == "vqa" and line["prompt"].startswith("what")]
    assert all(line["answer"].split()[1:] == line["prompt"].rstrip("?").split()[-2:] for line in lines)
    told = [line for line in lines if line["context"]]
    assert 0.1 < 1 - len(told) / len(lines) < 0.5
    with_own = [line for line in told if line["answer"] in line["context"].split("; ")]
    assert 0.35 < len(with_own) / len(told) < 0.7
    of_the_room = [line for line in told if f"answer {line['prompt'].split()[4]} " in line["context"]]
    assert len(of_the_room) > 0.7 * len(told)


def test_an_empty_pairs_table_is_an_error(tmp_path):
    empty = pa.table({"image": pa.array([], pa.string()), "answer": pa.array([], pa.string())})
    pq.write_table(empty, tmp_path / "samples.parquet")
    with pytest.raises(ValueError, match="holds no pairs"):
        pair_captions.read_captions(tmp_path / "samples.parquet")
