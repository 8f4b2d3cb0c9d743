"""What became of pictures, looked up in the order of ids and in any order."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.data.outcomes import NOT_ASKED_FOR, Outcomes


def write(folder, there, failed):
    rows = [{"id": key, "shard": shard} for key, shard in there]
    schema = pa.schema([("id", pa.string()), ("shard", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "images.parquet")
    failures = pa.Table.from_pylist([{"id": key} for key in failed], schema=pa.schema([("id", pa.string())]))
    pq.write_table(failures, folder / "failures.parquet")
    return folder


def test_both_ways_of_looking_up_agree(tmp_path):
    numbers = range(1000)
    there = [(f"{number:09d}", f"{number // 100:05d}") for number in numbers if number % 5 and number % 7]
    write(tmp_path, there, [f"{number:09d}" for number in numbers if not number % 5])
    in_order, at_random = Outcomes(tmp_path, in_order=True), Outcomes(tmp_path, in_order=False)
    asked = [f"{number:09d}" for number in range(-0, 1100, 3) for _ in range(2)]
    found = [in_order.of(key) for key in asked]
    assert found == [at_random.of(key) for key in asked]
    assert {None, NOT_ASKED_FOR, "00004"} <= set(found)


def test_tables_in_another_order_are_named(tmp_path):
    write(tmp_path, [("2", "0"), ("1", "0"), ("3", "0")], [])
    with pytest.raises(ValueError, match=r"not in the order of ids \(1 comes after 2\); download the image set again"):
        Outcomes(tmp_path, in_order=True).of("9")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"images\.parquet does not exist; run the download of its image set again"):
        Outcomes(tmp_path, in_order=False)
