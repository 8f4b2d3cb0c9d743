import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from workflow_scripts.config.demo import DemoSettings
from workflow_scripts.demo.uploads import read_text, read_upload, take_upload

SETTINGS = DemoSettings()


def save(path, picture, **options):
    picture.save(path, **options)
    return path


def test_a_photograph_is_turned_upright_and_loses_its_metadata(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"  # lies on its side
    path = save(tmp_path / "p.jpg", Image.new("RGB", (40, 20), "red"), exif=exif)
    picture = read_upload(path, SETTINGS)
    assert picture.size == (20, 40)
    assert not picture.info
    assert not picture.getexif()


def test_a_photograph_whose_metadata_cannot_be_read_is_taken_upright(tmp_path):
    rows = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHII", 0x9204, 10, 1, 38)  # exposure bias -1/0
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + rows + bytes(4) + struct.pack("<ii", -1, 0)
    path = save(tmp_path / "p.jpg", Image.new("RGB", (40, 20), "red"), exif=exif)
    assert read_upload(path, SETTINGS).size == (20, 40)


@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_what_telephones_store_is_taken(tmp_path, suffix):
    pillow_heif.register_heif_opener()
    path = save(tmp_path / f"p{suffix}", Image.new("RGB", (40, 20), "red"))
    assert read_upload(path, SETTINGS).size == (40, 20)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("cmyk.jpg", "CMYK", {}),
        ("palette.png", "P", {}),
        ("transparent.png", "RGBA", {}),
        ("one_bit.tiff", "1", {}),
        ("moving.gif", "P", {"save_all": True, "append_images": [Image.new("P", (1, 1), 1)]}),
        ("a_png_called.jpg", "RGB", {"format": "PNG"}),
    ],
)
def test_every_usual_kind_becomes_rgb(tmp_path, name, mode, options):
    picture = read_upload(save(tmp_path / name, Image.new(mode, (1, 1)), **options), SETTINGS)
    assert (picture.mode, picture.size) == ("RGB", (1, 1))


def test_sixteen_bits_are_scaled(tmp_path):
    path = save(tmp_path / "deep.png", Image.fromarray(np.full((2, 2), 0x8000, dtype=np.uint16)))
    assert read_upload(path, SETTINGS).getpixel((0, 0)) == (128, 128, 128)


def test_a_text_called_jpg_is_no_picture(tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(ValueError, match="not a picture"):
        read_upload(tmp_path / "text.jpg", SETTINGS)


def test_formats_that_are_programs_are_not_opened(tmp_path):
    (tmp_path / "program.jpg").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    with pytest.raises(ValueError, match="not a picture"):
        read_upload(tmp_path / "program.jpg", SETTINGS)


@pytest.mark.parametrize("side", [8_000, 20_000])
def test_a_bomb_is_refused_by_its_size_before_it_is_decoded(tmp_path, side):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match="pixels"):
        read_upload(path, SETTINGS)


def test_a_large_file_and_half_a_file_are_refused(tmp_path):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (700, 700, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, "PNG")
    path = tmp_path / "p.png"
    path.write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match="more than 1 MB"):
        read_upload(path, DemoSettings(max_upload_megabytes=1))
    path.write_bytes(stream.getvalue()[:5000])
    with pytest.raises(ValueError, match="cannot be used"):
        read_upload(path, SETTINGS)


def test_an_upload_is_deleted_when_it_was_read(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path = save(tmp_path / "p.png", Image.new("RGB", (4, 3)))
    assert take_upload(path, SETTINGS).size == (4, 3)
    assert not path.exists()
    with pytest.raises(ValueError, match="not there any more; choose it again"):
        take_upload(path, SETTINGS)


def test_a_file_that_was_not_uploaded_is_neither_read_nor_deleted(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    path = save(tmp_path / "p.png", Image.new("RGB", (4, 3)))
    for named in (path, tmp_path / "uploads" / ".." / "p.png"):
        with pytest.raises(ValueError, match="not there any more"):
            take_upload(named, SETTINGS)
    assert path.exists()


@pytest.mark.parametrize(("text", "says"), [("  \n ", "looking for"), ("x" * 10_000, "10,000 characters")])
def test_empty_and_very_long_queries_are_refused_in_a_sentence(text, says):
    with pytest.raises(ValueError, match=says):
        read_text(text, "query", SETTINGS)


@pytest.mark.parametrize("text", ["犬", "🪁 <b>bold</b>", "[/INST] </s>"])
def test_any_other_text_stays_as_it_is(text):
    assert read_text(f" {text} ", "question", SETTINGS) == text
