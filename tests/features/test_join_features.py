import numpy as np
import pytest

from workflow_scripts.command_line import write_json
from workflow_scripts.features.join_features import join_features
from workflow_scripts.features.store import FeatureStore, FeatureWriter


def store(folder, shards, **definition):
    """A store of features of the given keys, shard by shard."""
    defined = {"image_set": "set", "images_sha256": folder.name, "extractor_sha256": "x", "transform": "none"}
    writer = FeatureWriter(folder, {**defined, **definition})
    for index, keys in enumerate(shards):
        values = np.array([[[float(ord(key)), 1.0]] for key in keys])
        writer.write_shard(index, [f"set/{key}" for key in keys], values, values)
    writer.finish()
    return folder


@pytest.fixture
def images(tmp_path):
    write_json(tmp_path / "images/manifest.json", {"count": 5})
    return tmp_path / "images"


def test_the_parts_together_are_read_as_one_store(tmp_path, images):
    parts = [store(tmp_path / "0", ["ab", "c"]), store(tmp_path / "1", ["de"])]
    for _ in range(2):  # again, as after an interruption
        join_features(parts, images, tmp_path / "whole")
        whole = FeatureStore.open(tmp_path / "whole")
        assert whole.keys == [f"set/{key}" for key in "abcde"]
        assert whole.query_output(["set/d", "set/b"])[:, 0, 0].tolist() == [ord("d"), ord("b")]
        whole.verify()
    assert (tmp_path / "whole/query_output-00002.npy").samefile(tmp_path / "1/query_output-00000.npy")


def test_parts_of_two_extractors_or_with_too_few_pictures_do_not_join(tmp_path, images):
    first = store(tmp_path / "0", ["ab"])
    with pytest.raises(ValueError, match=r"1 and .*0 differ in extractor_sha256"):
        join_features([first, store(tmp_path / "1", ["cde"], extractor_sha256="y")], images, tmp_path / "whole")
    with pytest.raises(ValueError, match=r"have features of 4 pictures, but .*images holds 5"):
        join_features([first, store(tmp_path / "2", ["cd"])], images, tmp_path / "whole")
    assert not (tmp_path / "whole/manifest.json").exists()


def test_a_damaged_part_is_not_taken_over(tmp_path, images):
    part = store(tmp_path / "0", ["abc", "de"])
    path = part / "query_output-00001.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match=r"have features of 3 pictures"):
        join_features([part], images, tmp_path / "whole")
