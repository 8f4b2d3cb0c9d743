import ctypes
import json
import mmap
import tracemalloc

import numpy as np
import pytest

from workflow_scripts.features.store import FeatureStore, FeatureStores, FeatureWriter

DEFINITION = {"image_set": "set", "images_sha256": "a", "extractor_sha256": "x", "transform": "none"}


def arrays(count, seed=0, queries=3, width=4, projection=2):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, queries, width)), generator.normal(size=(count, queries, projection))


def write(directory, definition=DEFINITION, prefix="set", **sizes):
    writer = FeatureWriter(directory, definition)
    for index, count in enumerate((5, 2)):
        keys = [f"{prefix}/{index}{row}" for row in range(count)]
        writer.write_shard(index, keys, *arrays(count, index, **sizes))
    writer.finish()
    return directory


def test_features_come_back_by_key_in_any_order_over_shards_and_stores(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", {**DEFINITION, "image_set": "other"}, "other")
    stores = FeatureStores.open([tmp_path / "a", tmp_path / "b"])
    assert len(stores) == 14
    read = stores.query_output(["other/11", "set/04", "set/10", "set/04"])
    expected = [arrays(2, 1)[0][1], arrays(5, 0)[0][4], arrays(2, 1)[0][0], arrays(5, 0)[0][4]]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, np.stack(expected).astype(np.float16))
    np.testing.assert_array_equal(
        stores.image_projection(["set/11"]), arrays(2, 1)[1][1:].astype(np.float16).astype(np.float32)
    )


def in_memory(path):
    """How many pages of a file the system holds in memory."""
    array = np.load(path, mmap_mode="r")
    begin = array.ctypes.data - array.offset
    pages = (ctypes.c_ubyte * -(-path.stat().st_size // mmap.PAGESIZE))()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mincore(ctypes.c_void_p(begin), ctypes.c_size_t(path.stat().st_size), pages) == 0
    return sum(page & 1 for page in pages)


def test_features_of_a_few_images_are_read_without_what_stands_around_them(tmp_path):
    store = write(tmp_path / "a", queries=4, width=mmap.PAGESIZE // 4)
    rows, path = 10_000, store / "query_output-00000.npy"
    with open(path, "wb") as stream:  # as long as a real shard, of holes, which nothing holds in memory yet
        header = {"descr": "<f2", "fortran_order": False, "shape": (rows, 4, mmap.PAGESIZE // 4)}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.truncate(stream.tell() + rows * 2 * mmap.PAGESIZE)
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["shards"][0]["rows"] = rows
    (store / "manifest.json").write_text(json.dumps(manifest))
    chosen = np.arange(50, rows, 500)
    assert FeatureStore.open(store).query_output_at(chosen).sum() == 0
    # A row begins within a page and takes two: three for each, the header's, and what belongs to no row.
    assert len(chosen) <= in_memory(path) <= 4 * len(chosen) + 8


def test_a_key_without_features_is_named(tmp_path):
    store = FeatureStore.open(write(tmp_path / "a"))
    with pytest.raises(ValueError, match="no features of set/99 and 1 more"):
        store.query_output(["set/00", "set/99", "set/98"])


def test_stores_of_two_extractors_do_not_mix(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", {**DEFINITION, "extractor_sha256": "y"})
    with pytest.raises(ValueError, match="different feature extractors"):
        FeatureStores.open([tmp_path / "a", tmp_path / "b"])


def test_missing_cut_and_flipped_shards_are_named(tmp_path):
    store = write(tmp_path / "a")
    path = store / "query_output-00001.npy"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"query_output-00001.npy is damaged"):
        FeatureStore.open(store).verify()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match=r"query_output-00001.npy is damaged"):
        FeatureStore.open(store)
    path.unlink()
    with pytest.raises(ValueError, match=r"query_output-00001.npy is missing"):
        FeatureStore.open(store)
    (store / "manifest.json").unlink()
    with pytest.raises(ValueError, match="no finished feature store"):
        FeatureStore.open(store)


def test_the_same_key_in_two_shards_is_an_error(tmp_path):
    writer = FeatureWriter(tmp_path, DEFINITION)
    writer.write_shard(0, ["set/0", "set/1"], *arrays(2))
    writer.write_shard(1, ["set/1"], *arrays(1))
    with pytest.raises(ValueError, match="set holds the same image key in two shards"):
        writer.finish()
    assert not (tmp_path / "manifest.json").exists()


def test_keys_are_json_in_the_order_of_rows_and_a_file_that_lost_some_is_named(tmp_path):
    store = write(tmp_path / "a", prefix='se"t\u8239')
    keys = json.loads((store / "keys.json").read_text())
    assert (
        keys
        == FeatureStore.open(store).keys
        == [f'se"t\u8239/{key}' for key in ("00", "01", "02", "03", "04", "10", "11")]
    )
    (store / "keys.json").write_text(json.dumps(keys))
    assert FeatureStore.open(store).locate(keys[::-1]).tolist() == [6, 5, 4, 3, 2, 1, 0], "in one line, as of old"
    (store / "keys.json").write_text(json.dumps(keys[:-1]))
    with pytest.raises(ValueError, match=r"keys\.json has 6 keys, its manifest counts 7"):
        FeatureStore.open(store).locate(keys[:1])
    (store / "keys.json").write_text('[\n"set/00",\n"set')
    with pytest.raises(ValueError, match=r"keys\.json is damaged"):
        FeatureStore.open(store).locate(keys[:1])


def test_writing_features_and_finding_their_rows_take_a_few_bytes_of_memory_an_image(tmp_path):
    def peaks(count):
        features = np.zeros((1_000, 1, 2)), np.zeros((1_000, 1, 1))
        found = []
        tracemalloc.start()
        writer = FeatureWriter(tmp_path / str(count), DEFINITION)
        for index in range(count // 1_000):
            keys = [f"set/{number:09d}" for number in range(index * 1_000, (index + 1) * 1_000)]
            writer.write_shard(index, keys, *features)
        writer.finish()
        found.append(tracemalloc.get_traced_memory()[1])
        del writer
        tracemalloc.reset_peak()
        FeatureStore.open(tmp_path / str(count)).locate(["set/000000007"])
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return np.array(found)

    peaks(2_000)
    written, located = (peaks(24_000) - peaks(4_000)) / 20_000
    assert written < 30
    assert located < 50


def test_an_interrupted_extraction_keeps_its_good_shards_only(tmp_path):
    writer = FeatureWriter(tmp_path, DEFINITION)
    writer.write_shard(0, ["set/0"], *arrays(1))
    writer.write_shard(1, ["set/1"], *arrays(1))
    (tmp_path / "image_projection-00001.npy").write_bytes(b"half")
    again = FeatureWriter(tmp_path, DEFINITION)
    assert (again.has_shard(0), again.has_shard(1)) == (True, False)


def test_shards_of_another_extractor_are_thrown_away(tmp_path):
    FeatureWriter(tmp_path, DEFINITION).write_shard(0, ["set/0"], *arrays(1))
    again = FeatureWriter(tmp_path, {**DEFINITION, "extractor_sha256": "y"})
    assert not again.has_shard(0)
    assert not list(tmp_path.glob("*.npy"))


def test_values_beyond_float16_stop_the_extraction_with_the_image(tmp_path):
    query_output, projection = arrays(2)
    query_output[1, 0, 0] = 1e6
    with pytest.raises(ValueError, match="set/1"):
        FeatureWriter(tmp_path, DEFINITION).write_shard(0, ["set/0", "set/1"], query_output, projection)


def test_the_manifest_says_what_the_features_are(tmp_path):
    manifest = json.loads((write(tmp_path / "a") / "manifest.json").read_text())
    assert manifest["count"] == 7
    assert (manifest["queries"], manifest["width"], manifest["projection_width"]) == (3, 4, 2)
    assert [shard["rows"] for shard in manifest["shards"]] == [5, 5, 2, 2]
    assert (manifest["extractor_sha256"], manifest["dtype"]) == ("x", "float16")
