"""Tables that are written block by block are those that are written at once."""

import json
import tracemalloc

import pyarrow.parquet as pq
import pytest

from workflow_scripts.data import table_writer
from workflow_scripts.data.table_writer import TableWriter
from workflow_scripts.data.tables import write_table


def rows(count):
    for number in range(count):
        task = "vqa" if number % 3 else "caption"
        row = {"image": f"set/{number // 2}", "query": "", "answer": "a", "task": task, "id": str(number)}
        yield {**row, "data_set": "one"}


def test_one_block_gives_the_same_table_and_manifest_as_a_table_written_at_once(tmp_path):
    with TableWriter(tmp_path / "blocks", "samples.parquet") as table:
        table.write(rows(50))
        table.finish({"more": 1})
    write_table(tmp_path / "once", "samples.parquet", rows(50), {"more": 1})
    found = [pq.read_table(tmp_path / name / "samples.parquet") for name in ("blocks", "once")]
    assert found[0].equals(found[1], check_metadata=True)
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("blocks", "once")]
    assert {**manifests[0], "sha256": ""} == {**manifests[1], "sha256": ""}


def test_many_blocks_count_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(table_writer, "BLOCK", 7)
    with TableWriter(tmp_path, "samples.parquet") as table:
        table.write(rows(30))
        table.write(rows(20))
        manifest = table.finish({})
    assert (manifest["count"], manifest["images"], manifest["tasks"]) == (50, 15, {"caption": 17, "vqa": 33})


def test_what_breaks_off_leaves_no_table_and_no_half(tmp_path):
    def broken():
        yield from rows(3)
        raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"), TableWriter(tmp_path, "samples.parquet") as table:
        table.write(broken())
    assert not list(tmp_path.iterdir())


def peak_of_writing(folder, count):
    tracemalloc.start()
    with TableWriter(folder, "samples.parquet") as table:
        table.write(rows(count))
        table.finish({})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_that_of_a_block_and_of_a_digest_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(table_writer, "BLOCK", 1_000)
    peak_of_writing(tmp_path / "warm", 2_000)
    few, many = (peak_of_writing(tmp_path / str(count), count) for count in (5_000, 45_000))
    assert (many - few) / 40_000 < 30, "bytes a row: eight of a digest, and eight more while they are counted"
