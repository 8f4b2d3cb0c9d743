import numpy as np
import pytest
from PIL import Image

from workflow_scripts.config.search import IndexSettings
from workflow_scripts.search.build import build_from_folder, main, reusable_index, write_index
from workflow_scripts.search.index import Index
from workflow_scripts.search.pictures import open_picture

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


def index(folder, output, extractor, old=None):
    entries, skipped = build_from_folder(folder, extractor, SETTINGS, old)
    manifest = {"count": len(entries), "extractor_sha256": "x", "thumbnail_size": SETTINGS.thumbnail_size}
    write_index(output, entries, manifest | {"skipped": skipped, "feature_extractor": "."})
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


def test_an_unchanged_picture_is_not_embedded_again(folder, tmp_path, extractor):
    first = index(folder, tmp_path / "index", extractor)
    before = {item["id"]: np.array(first.projection[row]) for row, item in enumerate(first.items)}
    Image.new("RGB", (60, 40), "blue").save(folder / "red.jpg")
    (folder / "flat.gif").unlink()
    seen = []

    class Counting(type(extractor)):
        def transform(self, picture):
            seen.append(picture.size)
            return super().transform(picture)

    again = index(folder, tmp_path / "index", Counting(), first)
    assert seen == [(60, 40)]
    assert [item["id"] for item in again.items] == ["clear.png", "deep.png", "red.jpg", "sub/green.jpg"]
    assert np.array_equal(again.projection[3], before["sub/green.jpg"])
    assert not np.array_equal(again.projection[2], before["red.jpg"])


def test_an_index_of_another_extractor_is_not_reused(folder, tmp_path, extractor):
    index(folder, tmp_path / "index", extractor)
    assert reusable_index(tmp_path / "index", "x", SETTINGS)
    assert reusable_index(tmp_path / "index", "y", SETTINGS) is None
    assert reusable_index(tmp_path / "nothing", "x", SETTINGS) is None


def test_sixteen_bits_transparency_and_rotation_are_respected(folder):
    assert open_picture(folder / "deep.png", 1000).getpixel((0, 0)) == (128, 128, 128)
    assert open_picture(folder / "clear.png", 1000).getpixel((0, 0)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(folder / "turned.jpg", exif=exif)
    assert open_picture(folder / "turned.jpg", 10_000).size == (40, 60)


def test_a_folder_that_is_empty_or_missing_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "blip2_qformer.pth").write_bytes(b"")
    arguments = ["--output", str(tmp_path / "index"), "--feature-extractor", str(tmp_path), "--images"]
    with pytest.raises(ValueError, match="holds no picture"):
        main([*arguments, str(tmp_path / "empty")])
    with pytest.raises(ValueError, match="is not a folder"):
        main([*arguments, str(tmp_path / "missing")])
