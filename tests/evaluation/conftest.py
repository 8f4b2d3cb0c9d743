import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def question():
    """Makes one row of a benchmark."""

    def make(number, **values):
        row = {
            "question_id": f"q{number}",
            "image": f"set/{number}",
            "query": "what is it?",
            "answer": "cat",
            "answers": ["cat"],
            "task": "vqa",
            "image_width": 100,
            "image_height": 200,
            "box": None,
            "kind": "what",
        }
        return row | values

    return make


@pytest.fixture
def write_questions(tmp_path):
    """Writes rows as a benchmark table."""

    def write(rows, name="questions.parquet"):
        pq.write_table(pa.Table.from_pylist(rows).rename_columns({"question_id": "id"}), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def plain_break_down():
    """A break-down as kind -> (value, n), after a look at the interval of each."""

    def plain(breakdown):
        assert all(one["ci95"][0] <= one["value"] <= one["ci95"][1] for one in breakdown.values())
        return {kind: (one["value"], one["n"]) for kind, one in breakdown.items()}

    return plain
