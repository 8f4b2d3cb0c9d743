"""Every table has one schema, which `datasets` opens as it is; nothing is written into a home folder."""

import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from workflow_scripts.data.table_writer import TableWriter
from workflow_scripts.data.tables import SCHEMA, counts_of, dataset_of, write_table

PAIR = {"id": "1", "image": "set/1", "query": "", "answer": "a boat", "task": "caption", "data_set": "web"}
QUESTION = {**PAIR, "id": "2", "query": "where?", "answers": ["here", "there"], "task": "vqa", "kind": "where"}
BOXED = {**QUESTION, "id": "3", "box": [1.0, 2.0, 3.0, 4.5], "image_width": 64, "image_height": 48, "group": "0"}


def write_pairs(folder):
    with TableWriter(folder, "samples.parquet") as table:
        table.write([{**PAIR, "shard": "00000"}])
        table.finish({})
    return folder / "samples.parquet"


def write_mixed(folder):
    write_table(folder, "questions.parquet", [QUESTION, BOXED], {})
    return folder / "questions.parquet"


def test_tables_of_all_kinds_open_with_the_same_features(tmp_path):
    import datasets

    files = [write_pairs(tmp_path / "pairs"), write_mixed(tmp_path / "mix")]
    opened = [
        datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
        for file in files
    ]
    text, texts = datasets.Value("string"), datasets.List(datasets.Value("string"))
    assert (
        opened[0].features
        == opened[1].features
        == {
            **dict.fromkeys(("id", "image", "query", "answer", "task", "data_set", "kind", "group", "shard"), text),
            **{"answers": texts, "box": datasets.List(datasets.Value("float64"))},
            **dict.fromkeys(("image_width", "image_height"), datasets.Value("int32")),
        }
    )
    assert list(opened[0].features) == SCHEMA.names
    both = datasets.load_dataset(
        "parquet", data_files=[str(file) for file in files], split="train", cache_dir=str(tmp_path / "cache")
    )
    assert both["id"][:] == ["1", "2", "3"]
    assert both[2]["box"] == [1.0, 2.0, 3.0, 4.5]
    assert both[0]["box"] is None


def test_the_schema_says_the_features_that_datasets_would_write(tmp_path):
    dataset = dataset_of([QUESTION, BOXED])
    assert dataset.features.arrow_schema.equals(SCHEMA, check_metadata=True)
    assert pq.read_table(write_mixed(tmp_path)).to_pylist() == dataset.to_list()


def test_a_table_of_no_row_has_all_columns():
    assert dataset_of([]).column_names == SCHEMA.names


def test_counts_are_the_largest_first():
    frame = dataset_of([QUESTION, BOXED, {**PAIR, "kind": "a"}, {**PAIR, "kind": "b"}, PAIR]).to_pandas()
    assert list(counts_of(frame["kind"]).items()) == [("where", 2), ("a", 1), ("b", 1)]


WRITE = """
from pathlib import Path
from workflow_scripts.data.tables import dataset_of, write_dataset
from datasets import concatenate_datasets
rows = dataset_of({"id": str(n), "image": "set/1", "task": "vqa", "data_set": "one"} for n in range(100))
write_dataset(Path("table"), "samples.parquet", concatenate_datasets([rows.select([3, 1]), rows.select([5])]), {})
"""


@pytest.mark.parametrize("cache", [True, False])
def test_nothing_is_written_into_a_home_folder(tmp_path, cache):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "HUGGINGFACE"))}
    environment = keep | {"HOME": str(home)} | ({"HF_DATASETS_CACHE": str(work / "cache")} if cache else {})
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    subprocess.run([sys.executable, "-c", WRITE], cwd=work, env=environment | {"PYTHONPATH": root}, check=True)
    assert pq.read_table(work / "table" / "samples.parquet")["id"].to_pylist() == ["3", "1", "5"]
    assert not list(home.iterdir())
