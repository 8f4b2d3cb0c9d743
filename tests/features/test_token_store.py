import json

import numpy as np
import pytest

from workflow_scripts.features.token_store import TokenStores, TokenWriter

DEFINITION = {"image_set": "some", "encoder_sha256": "e" * 64}


def write(folder, definition=DEFINITION, shards=2):
    generator = np.random.default_rng(0)
    writer = TokenWriter(folder, definition)
    arrays = [generator.normal(size=(3, 4, 5)) for _ in range(shards)]
    for index, array in enumerate(arrays):
        if not writer.has_shard(index):
            name = definition["image_set"]
            writer.write_shard(index, [f"{name}/{index}-{row}" for row in range(3)], array)
    writer.finish()
    return np.concatenate(arrays)


def test_tokens_are_read_by_row_and_by_key(tmp_path):
    tokens = write(tmp_path)
    store = TokenStores.open(tmp_path)
    assert store.keys[4] == "some/1-1"
    np.testing.assert_allclose(store.at(np.array([4, 0])), tokens[[4, 0]], atol=2e-3)
    assert store.locate(["some/1-1"]).tolist() == [4]
    np.testing.assert_allclose(store.means(batch_size=4), tokens.mean(1), atol=2e-3)
    with pytest.raises(ValueError, match="some/9"):
        store.locate(["some/9"])


def test_an_interrupted_run_keeps_whole_shards_only(tmp_path):
    write(tmp_path)
    (tmp_path / "manifest.json").unlink()
    damaged = tmp_path / "tokens-00001.npy"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    writer = TokenWriter(tmp_path, DEFINITION)
    assert writer.has_shard(0)
    assert not writer.has_shard(1)
    assert writer.count == 3


def test_shards_of_another_encoder_are_computed_again(tmp_path):
    write(tmp_path)
    assert not TokenWriter(tmp_path, {**DEFINITION, "encoder_sha256": "f" * 64}).has_shard(0)


def test_unfinished_damaged_and_foreign_stores_are_named(tmp_path):
    with pytest.raises(ValueError, match="no finished tokens"):
        TokenStores.open(tmp_path)
    write(tmp_path / "a")
    write(tmp_path / "b", {"image_set": "other", "encoder_sha256": "f" * 64})
    with pytest.raises(ValueError, match="different vision encoders"):
        TokenStores.open(tmp_path / "a", tmp_path / "b")
    file = tmp_path / "a" / json.loads((tmp_path / "a" / "manifest.json").read_text())["files"][0]["file"]
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ValueError, match=file.name):
        TokenStores.open(tmp_path / "a")


def test_values_beyond_float16_are_refused(tmp_path):
    with pytest.raises(ValueError, match="float16"), np.errstate(over="ignore"):
        TokenWriter(tmp_path, DEFINITION).write_shard(0, ["some/0"], np.full((1, 4, 5), 1e6))
