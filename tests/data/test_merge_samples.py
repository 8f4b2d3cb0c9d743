"""Captions and questions in one table."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.data import merge_samples
from workflow_scripts.data.table_writer import TableWriter
from workflow_scripts.data.tables import SCHEMA, write_table


def sample(number, task):
    row = {"id": str(number), "image": f"set/{number}", "query": "", "answer": "a boat", "task": task}
    return {**row, "data_set": "web" if task == "caption" else "rooms"}


def test_samples_stand_in_the_order_of_the_tables_and_are_counted_by_task(tmp_path):
    with TableWriter(tmp_path / "pairs-1", "samples.parquet") as table:
        table.write({**sample(number, "caption"), "shard": "00000"} for number in range(3))
        table.finish({})
    write_table(tmp_path / "mix-2", "samples.parquet", [sample(7, "vqa"), sample(2, "vqa")], {})
    tables = [str(tmp_path / name / "samples.parquet") for name in ("pairs-1", "mix-2")]
    merge_samples.main(["--samples", *tables, "--output", str(tmp_path / "merged")])
    rows = pq.read_table(tmp_path / "merged" / "samples.parquet")
    assert (rows.schema.names, rows.schema.metadata) == (SCHEMA.names, SCHEMA.metadata)
    assert rows["id"].to_pylist() == ["0", "1", "2", "7", "2"]
    assert rows["shard"].to_pylist() == ["00000"] * 3 + [None] * 2
    manifest = json.loads((tmp_path / "merged" / "manifest.json").read_text())
    assert (manifest["count"], manifest["images"]) == (5, 4)
    assert manifest["tasks"] == {"caption": 3, "vqa": 2}
    assert manifest["data_sets"] == {"rooms": 2, "web": 3}
    assert manifest["parts"] == {"pairs-1": 3, "mix-2": 2}


def test_a_table_of_another_layout_is_named(tmp_path):
    pq.write_table(pa.table({"id": ["1"], "url": ["x"]}), tmp_path / "urls.parquet")
    with pytest.raises(ValueError, match=r"urls\.parquet is no table of samples: it lacks the columns answer, answers"):
        merge_samples.main(["--samples", str(tmp_path / "urls.parquet"), "--output", str(tmp_path / "merged")])
    assert not (tmp_path / "merged" / "samples.parquet").exists()
