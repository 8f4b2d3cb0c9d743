import tarfile

import pytest

from workflow_scripts.data.shards import ImageSet, index_shard, iterate_images, iterate_shard, list_shards


def test_pictures_come_by_shard_then_id(image_set):
    folder = image_set("set", ["b", "a", "d", "c", "e"])
    assert [path.name for path in list_shards(folder)] == ["00000.tar", "00001.tar", "00002.tar"]
    found = list(iterate_images(folder))
    assert [image_id for image_id, _, _ in found] == ["a", "b", "c", "d", "e"]
    assert all(image.mode == "RGB" and image.size == (32, 24) and meta["id"] for _, image, meta in found)


def test_one_picture_is_read_by_id(image_set):
    images = ImageSet.open(image_set("set", ["a", "b", "c"], failed=["x"]) / "manifest.json")
    assert images.open_image("c").size == (32, 24)
    assert (images.key("c"), images.failed) == ("set/c", {"x": "404 not found"})
    with pytest.raises(ValueError, match="no picture 'x'"):
        images.open_image("x")


def test_a_picture_that_does_not_decode_is_named(image_set):
    path = list_shards(image_set("set", ["a", "b"]))[0]
    content = path.read_bytes()
    start = content.index(b"\xff\xd8")
    path.write_bytes(content[:start] + b"\0" * 300 + content[start + 300 :])
    with pytest.raises(ValueError, match=r"Picture [ab] in .*00000\.tar does not decode"):
        list(iterate_shard(path))


def test_a_damaged_or_missing_shard_is_named(image_set):
    folder = image_set("set", ["a", "b", "c"])
    first, second = list_shards(folder)
    first.write_bytes(b"not a tar file at all" * 100)
    with pytest.raises(ValueError, match=r"00000\.tar is damaged"):
        list(iterate_images(folder))
    second.unlink()
    with pytest.raises(ValueError, match=r"00001\.tar does not exist"):
        list(iterate_shard(second))


def test_a_folder_without_manifest_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"manifest\.json does not exist"):
        ImageSet.open(tmp_path)


def test_a_shard_that_was_packed_anew_is_read_as_before(image_set, tmp_path):
    path = list_shards(image_set("set", ["a", "b"]))[0]
    before = [(image_id, image.tobytes()) for image_id, image, _ in iterate_shard(path)]
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "unpacked", ".")  # with ./ before all names, and the folder itself
    assert [(image_id, image.tobytes()) for image_id, image, _ in iterate_shard(path)] == before
    assert set(index_shard(path)) == {"a", "b"}
