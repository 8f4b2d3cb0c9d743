import io
import os
import struct

import numpy as np
import pillow_heif
import pytest
from colour_extractor import ColourExtractor
from PIL import Image

from workflow_scripts.config.search import IndexSettings
from workflow_scripts.files.images import open_image
from workflow_scripts.files.walk import walk_images
from workflow_scripts.search.build import build_from_folder, entries_of, main
from workflow_scripts.search.index import Index
from workflow_scripts.search.journal import Journal
from workflow_scripts.search.write_index import write_index

SETTINGS = IndexSettings(batch_size=2, max_pixels=1_000_000)


@pytest.fixture
def folder(tmp_path):
    pictures = tmp_path / "pictures"
    (pictures / "sub").mkdir(parents=True)
    Image.new("RGB", (60, 40), "red").save(pictures / "red.jpg")
    Image.new("CMYK", (60, 40), (255, 0, 255, 0)).save(pictures / "sub" / "green.jpg")
    Image.new("P", (10, 10)).save(pictures / "flat.gif", save_all=True, append_images=[Image.new("P", (10, 10), 3)])
    Image.new("RGBA", (1, 1), (0, 0, 0, 0)).save(pictures / "clear.png")
    Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16)).save(pictures / "deep.png")
    return pictures


def index(folder, output, extractor):
    """Builds as the command does, with the journal that an interrupted build left."""
    journal = Journal(output, {"extractor_sha256": "x"})
    known = [*entries_of(output, "x", SETTINGS), *journal.entries()]
    entries, skipped = build_from_folder(folder, extractor, SETTINGS, known, journal)
    manifest = {"count": len(entries), "extractor_sha256": "x", "thumbnail_size": SETTINGS.thumbnail_size}
    write_index(output, entries, manifest | {"skipped": skipped, "feature_extractor": "."}, SETTINGS.approximate_from)
    journal.close()
    return Index(output)


def test_all_pictures_below_a_folder_are_found_and_can_be_searched(folder, tmp_path, extractor):
    built = index(folder, tmp_path / "index", extractor)
    assert [item["id"] for item in built.items] == ["clear.png", "deep.png", "flat.gif", "red.jpg", "sub/green.jpg"]
    hits = built.search(np.array([[1.0, 0, 0], [0, 1.0, 0]], dtype=np.float32), 1)
    assert [hit[0].id for hit in hits] == ["red.jpg", "sub/green.jpg"]


def test_what_is_no_picture_is_skipped_and_listed_with_its_reason(folder, tmp_path, extractor):
    (folder / "text.jpg").write_text("hello")
    (folder / "empty.png").write_bytes(b"")
    whole = (folder / "red.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / ".hidden.jpg").write_bytes(whole)
    (folder / "notes.txt").write_text("not listed")
    Image.new("L", (4000, 4000)).save(folder / "huge.png")
    built = index(folder, tmp_path / "index", extractor)
    reasons = {one["file"]: one["reason"] for one in built.manifest["skipped"]}
    assert set(reasons) == {"text.jpg", "empty.png", "cut.jpg", "huge.png"}
    assert reasons["text.jpg"] == "not a picture"
    assert "damaged" in reasons["cut.jpg"]
    assert "4000x4000 pixels" in reasons["huge.png"]
    assert len(built) == 5


def test_what_is_gone_when_its_turn_comes_and_what_has_no_readable_name_is_listed(
    folder, tmp_path, extractor, monkeypatch
):
    whole = (folder / "red.jpg").read_bytes()
    with open(os.fsencode(folder) + b"/\xff.jpg", "wb") as stream:
        stream.write(whole)
    listed = walk_images(folder)
    listed.images.append(folder / "gone.jpg")
    monkeypatch.setattr("workflow_scripts.search.build.walk_images", lambda _: listed)
    built = index(folder, tmp_path / "index", extractor)
    reasons = {one["file"]: one["reason"] for one in built.manifest["skipped"]}
    assert reasons == {
        "?.jpg": "its name is no text in UTF-8",
        "gone.jpg": "not there any more (No such file or directory)",
    }
    assert len(built) == 5


class Counting(ColourExtractor):
    """Lists the sizes of the pictures that are embedded; breaks off before the one that `until` counts."""

    def __init__(self, until=None):
        self.seen = []
        self.until = until

    def transform(self, picture):
        if len(self.seen) == self.until:
            raise KeyboardInterrupt
        self.seen.append(picture.size)
        return super().transform(picture)


def test_only_new_and_changed_pictures_are_embedded_and_deleted_ones_leave(folder, tmp_path, extractor):
    first = index(folder, tmp_path / "index", extractor)
    before = {item["id"]: np.array(first.projection[row]) for row, item in enumerate(first.items)}
    Image.new("RGB", (61, 40), "blue").save(folder / "red.jpg")
    Image.new("RGB", (30, 30), "black").save(folder / "new.png")
    (folder / "flat.gif").unlink()
    counting = Counting()
    again = index(folder, tmp_path / "index", counting)
    assert sorted(counting.seen) == [(30, 30), (61, 40)]
    rows = {item["id"]: row for row, item in enumerate(again.items)}
    assert list(rows) == ["clear.png", "deep.png", "new.png", "red.jpg", "sub/green.jpg"]
    assert np.array_equal(again.projection[rows["sub/green.jpg"]], before["sub/green.jpg"])
    assert not np.array_equal(again.projection[rows["red.jpg"]], before["red.jpg"])
    with Image.open(io.BytesIO(again.thumbnail(rows["new.png"]))) as shown:
        assert shown.size == (30, 30)


def test_a_damaged_picture_that_is_repaired_comes_in_and_one_that_gets_damaged_leaves(folder, tmp_path, extractor):
    whole = (folder / "red.jpg").read_bytes()
    (folder / "late.jpg").write_bytes(whole[: len(whole) // 2])
    first = index(folder, tmp_path / "index", extractor)
    assert [one["file"] for one in first.manifest["skipped"]] == ["late.jpg"]
    (folder / "late.jpg").write_bytes(whole)
    (folder / "red.jpg").write_bytes(whole[: len(whole) // 2])
    again = index(folder, tmp_path / "index", extractor)
    assert [one["file"] for one in again.manifest["skipped"]] == ["red.jpg"]
    assert {"late.jpg"} <= {item["id"] for item in again.items}
    assert "red.jpg" not in {item["id"] for item in again.items}


def test_an_interrupted_build_goes_on_where_it_was_and_ends_as_one_that_was_not(folder, tmp_path, extractor):
    with pytest.raises(KeyboardInterrupt):
        index(folder, tmp_path / "index", Counting(until=3))  # one batch of two is kept, the third picture is not
    counting = Counting()
    resumed = index(folder, tmp_path / "index", counting)
    assert len(counting.seen) == 3
    whole = index(folder, tmp_path / "whole", extractor)
    assert list(resumed.items) == list(whole.items)
    assert np.array_equal(resumed.projection, whole.projection)
    assert not (tmp_path / "index" / "unfinished").exists()


def test_a_damaged_batch_of_an_interrupted_build_is_embedded_again(folder, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        index(folder, tmp_path / "index", Counting(until=4))
    batches = sorted((tmp_path / "index" / "unfinished").glob("*.npz"))
    assert len(batches) == 2
    batches[0].write_bytes(batches[0].read_bytes()[:100])
    counting = Counting()
    assert len(index(folder, tmp_path / "index", counting)) == 5
    assert counting.seen == [(1, 1), (8, 8), (60, 40)]  # the two of the damaged batch, and the one that was never done


def test_what_another_extractor_embedded_is_not_reused(folder, tmp_path, extractor):
    index(folder, tmp_path / "index", extractor)
    assert list(entries_of(tmp_path / "index", "x", SETTINGS))
    assert not list(entries_of(tmp_path / "index", "y", SETTINGS))
    assert not list(entries_of(tmp_path / "nothing", "x", SETTINGS))
    with pytest.raises(KeyboardInterrupt):
        index(folder, tmp_path / "cut", Counting(until=3))
    assert not list(Journal(tmp_path / "cut", {"extractor_sha256": "y"}).entries())


def test_an_index_of_an_older_version_is_replaced_by_a_new_one(folder, tmp_path, extractor):
    output = index(folder, tmp_path / "index", extractor).folder
    (output / "index.json").write_text('{"count": 4}')
    counting = Counting()
    assert len(index(folder, output, counting)) == len(counting.seen) == 5


def test_sixteen_bits_transparency_and_rotation_are_respected(folder):
    assert open_image(folder / "deep.png", 1000).image.getpixel((0, 0)) == (128, 128, 128)
    assert open_image(folder / "clear.png", 1000).image.getpixel((0, 0)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(folder / "turned.jpg", exif=exif)
    assert open_image(folder / "turned.jpg", 10_000).image.size == (40, 60)


def bad_metadata():
    """EXIF of a photograph that lies on its side, with an exposure bias of -1/0."""
    rows = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x9204, 10, 1, 38)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + rows + bytes(4) + struct.pack("<ii", -1, 0)


def test_a_photograph_whose_metadata_cannot_be_read_is_indexed_upright_counted_and_named(folder, tmp_path, extractor):
    Image.new("RGB", (60, 40), "blue").save(folder / "phone.jpg", exif=bad_metadata())
    for _ in range(2):  # also where it is taken from the index that stands there
        built = index(folder, tmp_path / "index", extractor)
        (item,) = (item for item in built.items if item["id"] == "phone.jpg")
        assert (item["width"], item["height"]) == (40, 60)
        assert item["metadata"]
        assert not built.manifest["skipped"]


def test_the_command_tells_of_all_that_is_in_the_folder(folder, tmp_path, extractor_folder, capsys, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "private").mkdir(parents=True)
    Image.new("RGB", (60, 40), "blue").save(elsewhere / "phone.jpg", exif=bad_metadata())
    (folder / "holiday").symlink_to("../elsewhere")
    (elsewhere / "round").symlink_to("../pictures")
    (folder / "unmounted").symlink_to("/nowhere")
    Image.new("RGB", (60, 40), "green").save(folder / "new.avif")
    pillow_heif.from_pillow(Image.new("RGB", (60, 40), "green")).save(folder / "iphone.HEIC")
    (folder / "cut.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    (folder / "raw.NEF").write_bytes(b"raw")
    (folder / "notes.txt").write_text("notes")
    scandir = os.scandir

    def refuse(path="."):
        if str(path).endswith("private"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    arguments = ["--images", str(folder), "--output", str(tmp_path / "index")]
    main([*arguments, "--feature-extractor", str(extractor_folder)])
    assert capsys.readouterr().out.splitlines() == [
        f"8 pictures are in the index {tmp_path / 'index'}, 4 were skipped",
        "  skipped holiday/private: a folder that cannot be listed (Permission denied)",
        "  skipped unmounted: a link to /nowhere, which cannot be followed (No such file or directory)",
        "  skipped raw.NEF: .nef is not read; export it as JPEG",
        "  skipped cut.HEIC: damaged (no image in its HEIF)",
        "1 was read without metadata, which cannot be read",
        "  without metadata holiday/phone.jpg: struct.error: argument out of range",
        "other files in the folder, which are no pictures by their names: 1 .txt",
    ]
    built = Index(tmp_path / "index")
    assert {"new.avif", "iphone.HEIC", "holiday/phone.jpg"} <= {item["id"] for item in built.items}
    assert [one["file"] for one in built.manifest["without_metadata"]] == ["holiday/phone.jpg"]


def test_a_folder_that_is_empty_or_missing_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "blip2_qformer.pth").write_bytes(b"")
    arguments = ["--output", str(tmp_path / "index"), "--feature-extractor", str(tmp_path), "--images"]
    with pytest.raises(ValueError, match="holds no picture"):
        main([*arguments, str(tmp_path / "empty")])
    with pytest.raises(ValueError, match="is not a folder"):
        main([*arguments, str(tmp_path / "missing")])
