"""Files of users: read as other programs write them; what is something else is said."""

import gzip
import io
import json

import numpy as np
import pytest

from workflow_scripts.given_files import lines_of, read_given_json, read_given_rows

ROWS = [{"question_id": 1, "answer": "café"}, {"question_id": 2, "answer": "犬"}]
# All that some reader of lines takes for the end of one.
LINE_ENDS = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")


def as_lines(rows, **options):
    return "".join(json.dumps(row, **options) + "\n" for row in rows)


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=1, ensure_ascii=False),
        as_lines(ROWS),
        as_lines(ROWS, ensure_ascii=False).rstrip("\n"),
        as_lines(ROWS).replace("\n", "\r\n"),
        as_lines(ROWS).replace("\n", "\n\n"),
    ],
)
def test_rows_are_read_from_a_list_and_from_lines(tmp_path, text, bom):
    (tmp_path / "x").write_bytes(bom + text.encode())
    assert read_given_rows(tmp_path / "x", ("question_id",)) == ROWS


def test_one_line_is_one_row_and_an_object_of_rows_is_not(tmp_path):
    (tmp_path / "x").write_text(json.dumps(ROWS[0]))
    assert read_given_rows(tmp_path / "x", ("question_id",)) == ROWS[:1]
    (tmp_path / "x").write_text(json.dumps({"annotations": ROWS}))
    assert read_given_rows(tmp_path / "x", ("question_id",), key="annotations") == ROWS
    assert read_given_rows(tmp_path / "x", ("question_id",)) == {"annotations": ROWS}


@pytest.mark.parametrize("end", LINE_ENDS)
def test_what_other_readers_take_for_the_end_of_a_line_stays_in_its_text(tmp_path, end):
    rows = [{"question_id": n, "answer": f"a{end}b"} for n in range(2)]
    (tmp_path / "x").write_bytes(as_lines(rows, ensure_ascii=False).encode())
    assert read_given_rows(tmp_path / "x") == rows


def test_lines_end_at_the_line_feed_alone():
    text = "".join(f"a{end}" for end in LINE_ENDS if "\n" not in end) + "\nb\n"
    assert [number for number, _ in lines_of(text)] == [1, 2]


def archive():
    stream = io.BytesIO()
    np.savez(stream, x=np.eye(2))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps(ROWS).encode("utf-16"), "is text in UTF-16, where a text in UTF-8 is expected; save it in UTF-8"),
        (json.dumps(ROWS).encode("utf-16-le"), "is text in UTF-16, or no text"),
        (json.dumps(ROWS).encode("utf-32"), "is text in UTF-32"),
        (json.dumps(ROWS, indent=1, ensure_ascii=False)[:50].encode("latin-1"), "byte 0xe9 in line 4.*iconv -f LATIN1"),
        (archive(), "is a zip archive, as .npz"),
        (gzip.compress(b"{}"), "is compressed by gzip"),
        (b"", "x is empty"),
        (b"\n \n", "x is empty"),
        (b'[{"question_id": 1}', "x is not valid JSON"),
        (b'{"question_id": 1}\n{"question_id": 2\n', "Line 2 of .*x is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "is not valid JSON"),
    ],
)
def test_anything_else_is_a_sentence_about_the_users_own_file(tmp_path, content, words):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=words) as found:
        read_given_rows(tmp_path / "x")
    assert "its rule" not in str(found.value)


def test_a_file_that_is_not_there_and_a_folder_are_sentences(tmp_path):
    for read in (read_given_json, read_given_rows):
        with pytest.raises(ValueError, match="nothing does not exist; look at its name"):
            read(tmp_path / "nothing")
        with pytest.raises(ValueError, match="is a folder; name the file in it"):
            read(tmp_path)
