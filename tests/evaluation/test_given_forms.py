"""Predictions as other programs write them: every scorer reads JSON and JSON lines, and says what else a file is."""

import io
import json

import numpy as np
import pytest

from workflow_scripts.evaluation import (
    score_captions,
    score_exact_match,
    score_rec,
    score_retrieval,
    score_vqa,
    score_wups,
)
from workflow_scripts.evaluation.meteor import _score_line
from workflow_scripts.evaluation.predictions import read_predictions, write_predictions

LINE_ENDS = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")

QUESTIONS = [{"question_id": n, "image_id": n // 2, "question": "what?"} for n in range(4)]
ANSWERS = [{"answer": "cat", "answer_id": n} for n in range(10)]
VQA = [{"question_id": n, "image_id": n // 2, "answer_type": "other", "answers": ANSWERS} for n in range(4)]
OWN = [
    {"question_id": f"q{n}", "image": f"s/{n}", "prediction": "a cat", "answer": "cat", "answers": ["cat", "a dog"]}
    for n in range(4)
]
BOXES = [{"id": n, "image_id": n, "bbox": [10, 10, 20, 20]} for n in range(4)]
CAPTIONS = [{"image_id": n, "caption": f"a dog of {n} years"} for n in range(4)]
# For each scorer: its module, the rows that are predicted, and what else it is given.
SCORERS = {
    "vqa": (
        score_vqa,
        [{"question_id": n, "answer": "cat"} for n in range(4)],
        {"questions": {"questions": QUESTIONS}, "annotations": {"annotations": VQA}},
    ),
    "vqa of a table": (score_vqa, OWN, {}),
    "exact match": (score_exact_match, OWN, {}),
    "wups": (score_wups, OWN, {}),
    "captions": (score_captions, CAPTIONS, {"annotations": {"annotations": CAPTIONS}}),
    "captions of a table": (score_captions, OWN, {}),
    "boxes": (
        score_rec,
        [{"id": n, "bbox": [10, 10, 20, 20]} for n in range(4)],
        {"annotations": {"images": [{"id": n, "width": 90, "height": 90} for n in range(4)], "annotations": BOXES}},
    ),
}
FORMS = {
    "list": lambda rows: json.dumps(rows).encode(),
    "lines": lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    "list with a mark": lambda rows: b"\xef\xbb\xbf" + json.dumps(rows, indent=1).encode(),
    "lines with a mark": lambda rows: b"\xef\xbb\xbf" + "\r\n".join(map(json.dumps, rows)).encode(),
}


@pytest.fixture(params=list(SCORERS))
def scorer(request, tmp_path, monkeypatch):
    """Scores a file of predictions with the given content; other files can be replaced."""
    module, rows, others = SCORERS[request.param]
    monkeypatch.setenv("PATH", str(tmp_path))  # without Java

    def run(content, **replaced):
        (tmp_path / "predictions").write_bytes(content)
        for name, value in others.items():
            (tmp_path / name).write_bytes(replaced.get(name, json.dumps(value).encode()))
        options = [f"--{name}={tmp_path / name}" for name in ("predictions", *others, "output")]
        module.main(options)
        scores = json.loads((tmp_path / "output").read_text())
        return {key: value for key, value in scores.items() if key not in ("inputs", "command")}

    run.rows, run.others = rows, others
    return run


def test_the_form_of_the_file_changes_no_score(scorer):
    scores = {name: scorer(write(scorer.rows)) for name, write in FORMS.items()}
    assert all(one == scores["list"] for one in scores.values())


def test_annotations_may_have_a_byte_order_mark_or_be_lines(scorer):
    plain = scorer(FORMS["list"](scorer.rows))
    for name, value in scorer.others.items():
        content = b"\xef\xbb\xbf" + json.dumps(value).encode()
        assert scorer(FORMS["list"](scorer.rows), **{name: content}) == plain
        if "images" not in value:
            (rows,) = value.values()
            assert scorer(FORMS["list"](scorer.rows), **{name: FORMS["lines"](rows)}) == plain


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_a_sentence_about_the_users_file(scorer, encoding):
    rows = [dict(row, note="é") for row in scorer.rows]
    with pytest.raises(ValueError, match=r"predictions is (not )?text in UTF") as found:
        scorer(json.dumps(rows, ensure_ascii=False).encode(encoding))
    assert "rule" not in str(found.value)


@pytest.mark.parametrize(
    "content", [b"null", b"3", b'"text"', b"[1]", b"[null]", b"[[]]", b"{}", b'{"a": 1}\n{"b": 2}']
)
def test_json_of_something_else_is_a_sentence(scorer, content):
    with pytest.raises(ValueError, match="predictions"):
        scorer(content)


def test_a_field_that_a_score_needs_is_named(scorer):
    if "image" in scorer.rows[0]:
        with pytest.raises(ValueError, match=r'Row 1 of .*predictions lacks a text "image"'):
            scorer(json.dumps([{k: v for k, v in row.items() if k != "image"} for row in scorer.rows]).encode())
        with pytest.raises(ValueError, match=r'"answers" in row 1 of .*predictions must be a list of texts'):
            scorer(json.dumps([row | {"answers": "cat"} for row in scorer.rows]).encode())


@pytest.mark.parametrize("end", LINE_ENDS)
def test_predictions_come_back_as_they_were_written_whatever_they_hold(tmp_path, question, end):
    rows = [question(n, answer=f"a{end}b", answers=[f"a{end}b"] * 10) for n in range(3)]
    write_predictions(tmp_path / "p.jsonl", rows, [None] * 3, [f"a{end}b"] * 3)
    assert [row["prediction"] for row in read_predictions(tmp_path / "p.jsonl")] == [f"a{end}b"] * 3
    score_vqa.main([f"--predictions={tmp_path / 'p.jsonl'}", f"--output={tmp_path / 's.json'}"])
    assert json.loads((tmp_path / "s.json").read_text())["overall"] == 100


@pytest.mark.parametrize("end", LINE_ENDS)
def test_meteor_is_asked_in_one_line_a_caption(end):
    assert _score_line(f"a{end}b", [f"c ||| {end}d", ""]) == "SCORE ||| c d |||  ||| a b\n"


def npz(tmp_path):
    np.savez(tmp_path / "s", similarity=np.eye(2))
    return (tmp_path / "s.npz").read_bytes()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npz, r"is a .npz archive of arrays \(similarity\) and not one array"),
        (b"", "is not a NumPy array"),
        (b"PK\x03\x04", "is not a NumPy array"),
        (npy(np.eye(2))[:-8], "is not a NumPy array"),
        (npy(np.array([[{}]])), "is not a NumPy array"),
        (npy(np.eye(2) * 1j), "holds complex128 and no real numbers"),
    ],
)
def test_another_array_is_a_sentence_about_the_users_file(tmp_path, content, words):
    (tmp_path / "c.json").write_text(json.dumps({"images": [{"id": 1}, {"id": 2}], "annotations": CAPTIONS[1:3]}))
    (tmp_path / "s.npy").write_bytes(content(tmp_path) if callable(content) else content)
    files = [f"--similarity={tmp_path / 's.npy'}", f"--captions={tmp_path / 'c.json'}", f"--output={tmp_path / 'o'}"]
    with pytest.raises(ValueError, match=words) as found:
        score_retrieval.main(files)
    assert "rule" not in str(found.value)


def test_a_run_without_an_id_is_named(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(FORMS["lines"](OWN))
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match=r"run\.json has no run_id"):
        score_exact_match.main(
            [f"--{name}={tmp_path / file}" for name, file in (("predictions", "p.jsonl"), ("run", "run.json"))]
            + [f"--output={tmp_path / 'o'}"]
        )
