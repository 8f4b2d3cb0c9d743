"""Pixels of images read at random from real tars."""

import numpy as np
import pytest
import torch
from image_sets import noise, write_image_set, write_shard


def transform(picture):
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


@pytest.fixture
def folders(tmp_path):
    """Two image sets: one of two shards with five pictures, one of one shard with two."""
    generator = np.random.default_rng(0)
    for name, shards in {"one": ("abc", "de"), "other": ("ab",)}.items():
        write_image_set(tmp_path / name, [noise(ids, generator, 20, 30) for ids in shards], name)
    return [tmp_path / "one", tmp_path / "other"]


@pytest.fixture
def open_pixels(folders):
    from workflow_scripts.features.image_inputs import Pixels

    return lambda: Pixels(folders, transform)


def test_every_key_has_the_pixels_of_its_picture_in_any_order_and_in_another_process_s_rows(open_pixels, folders):
    from workflow_scripts.data.shards import iterate_images

    expected = {
        f"{folder.name}/{image_id}": transform(picture) for folder in folders for image_id, picture, _ in
        iterate_images(folder)
    }  # fmt: skip
    keys = ["other/b", "one/e", "one/a", "other/a", "one/d", "one/e", "one/c", "one/b"]
    rows = open_pixels().locate(keys)
    found = open_pixels().at(rows)  # these know no key, only where pictures are
    assert all(torch.equal(pixels, expected[key]) for key, pixels in zip(keys, found, strict=True))
    assert len(set(rows.tolist())) == 7


def test_a_missing_picture_or_shard_is_named(open_pixels, folders):
    with pytest.raises(ValueError, match=r"no picture one/z and 1 more in .*one, .*other"):
        open_pixels().locate(["one/a", "one/z", "two/a"])
    (folders[0] / "shards" / "00001.tar").unlink()
    with pytest.raises(ValueError, match=r"00001.tar does not exist"):
        open_pixels().verify()


def test_a_shard_that_lost_a_picture_or_its_end_is_named(open_pixels, folders):
    shard = folders[1] / "shards" / "00000.tar"
    content = shard.read_bytes()
    write_shard(shard, {"a": b""})
    with pytest.raises(ValueError, match=r"other hold 1 pictures, its manifest counts 2"):
        open_pixels().verify()
    shard.write_bytes(content[:700])
    with pytest.raises(ValueError, match=r"00000.tar is damaged"):
        open_pixels().verify()


def test_a_picture_that_does_not_decode_is_named(open_pixels, folders):
    write_shard(folders[1] / "shards" / "00000.tar", {"a": b"no picture", "b": b""})
    with pytest.raises(ValueError, match=r"000000000.jpg in .*00000.tar does not decode"):
        open_pixels().of(["other/a"])
