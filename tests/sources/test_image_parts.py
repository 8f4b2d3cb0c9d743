import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.command_line import read_json, write_json
from workflow_scripts.sources import cut_url_list, join_images
from workflow_scripts.sources.cut_url_list import rows_of_part


@pytest.mark.parametrize(("count", "parts"), [(12, 1), (12, 2), (12, 3), (15, 3), (101, 7), (100, 20)])
def test_parts_are_whole_shards_and_together_the_list(count, parts):
    rows = [rows_of_part(count, part, parts, 5) for part in range(parts)]
    assert np.concatenate(rows).tolist() == list(range(count))
    assert all(len(part) and part.start % 5 == 0 for part in rows)
    assert max(map(len, rows)) - min(map(len, rows)) <= 9, "parts differ by a shard at most, and the last by its rest"


def test_a_list_is_cut_by_rows_with_all_its_columns(tmp_path):
    table = pa.table({"id": list("abcdefg"), "url": [f"https://host/{n}" for n in range(7)]})
    pq.write_table(table, tmp_path / "urls.parquet")
    for part in range(2):
        options = ["--part", part, "--parts", 2, "--samples-per-shard", 3, "--output", tmp_path / f"{part}.parquet"]
        cut_url_list.main(["--url-list", str(tmp_path / "urls.parquet"), *map(str, options)])
    assert pq.read_table(tmp_path / "0.parquet").equals(table.slice(0, 3))
    assert pq.read_table(tmp_path / "1.parquet").equals(table.slice(3))
    with pytest.raises(ValueError, match="A list of 7 pictures is 3 shards of 3, too few for 4 parts"):
        rows_of_part(7, 0, 4, 3)


def part(folder, ids, failed=(), **manifest):
    """A stored part: a shard a picture."""
    (folder / "shards").mkdir(parents=True)
    names = [f"{number:05d}" for number in range(len(ids))]
    for name, one in zip(names, ids, strict=True):
        (folder / "shards" / f"{name}.tar").write_text(one)
    pq.write_table(pa.table({"id": ids, "sha256": ids, "shard": names}), folder / "images.parquet")
    failures = {"id": list(failed), "reason": ["404"] * len(failed)}
    pq.write_table(
        pa.table({key: pa.array(value, pa.string()) for key, value in failures.items()}), folder / "failures.parquet"
    )
    facts = {"image_set": "set", "count": len(ids), "requested": len(ids) + len(failed), "shards": names}
    facts |= {"failures": {"404": len(failed)} if failed else {}, "source": "web", "settings": {}, **manifest}
    write_json(folder / "manifest.json", facts)
    return folder


def join(tmp_path, *parts):
    join_images.main(["--parts", *map(str, parts), "--output", str(tmp_path / "whole")])
    return tmp_path / "whole"


def test_joined_shards_have_names_of_their_own_and_the_table_knows_them(tmp_path):
    one, two = part(tmp_path / "0", ["d", "b"], ["x"]), part(tmp_path / "1", ["a", "c"], ["w", "z"])
    for _ in range(2):  # the second call replaces what the first wrote
        whole = join(tmp_path, one, two)
        table = pq.read_table(whole / "images.parquet").to_pylist()
        assert [row["id"] for row in table] == ["a", "b", "c", "d"]
        assert all((whole / "shards" / f"{row['shard']}.tar").read_text() == row["id"] for row in table)
        assert pq.read_table(whole / "failures.parquet")["id"].to_pylist() == ["w", "x", "z"]
        manifest = read_json(whole / "manifest.json")
        assert (manifest["count"], manifest["requested"], manifest["failures"]) == (4, 7, {"404": 3})
        assert manifest["shards"] == ["00000", "00001", "00002", "00003"]


def test_parts_of_two_sets_do_not_join(tmp_path):
    one, two = part(tmp_path / "0", ["a"]), part(tmp_path / "1", ["b"], settings={"image_size": 3})
    with pytest.raises(ValueError, match=r"1 and .*0 differ in settings .*fetch one of them anew"):
        join(tmp_path, one, two)
