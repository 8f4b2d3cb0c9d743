import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, TiffTags

from workflow_scripts.files.images import (
    COMMON,
    DamagedImageError,
    NotAnImageError,
    TooManyPixelsError,
    open_image,
    web_formats,
)

RATIONAL, SIGNED_RATIONAL, ASCII, SHORT = 5, 10, 2, 3
ORIENTATION, X_RESOLUTION, RESOLUTION_UNIT, EXPOSURE_BIAS = 0x0112, 0x011A, 0x0128, 0x9204


def exif_of(*entries, order="<"):
    """EXIF of (tag, type, count, bytes) as cameras write it, with values that Pillow would refuse to write."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    rows, values = b"", b""
    first = 8 + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in sorted(entries):
        place = value.ljust(4, b"\0")
        if len(value) > 4:
            place = struct.pack(f"{order}I", first + len(values))
            values += value
        rows += struct.pack(f"{order}HHI", tag, kind, count) + place
    return b"Exif\0\0" + head + struct.pack(f"{order}H", len(entries)) + rows + bytes(4) + values


TURNED = (ORIENTATION, SHORT, 1, struct.pack("<H", 6))
METADATA = {
    "exposure bias -1/0": exif_of(TURNED, (EXPOSURE_BIAS, SIGNED_RATIONAL, 1, struct.pack("<ii", -1, 0))),
    "resolution as text": exif_of(TURNED, (X_RESOLUTION, ASCII, 4, b"300\0")),
    "resolution as text, in centimetres": exif_of(
        TURNED, (X_RESOLUTION, ASCII, 4, b"300\0"), (RESOLUTION_UNIT, SHORT, 1, struct.pack("<H", 3))
    ),
}


def halves(size=(60, 40)):
    """An image whose left half is red and whose right half is blue."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[:, : size[0] // 2, 0] = 250
    pixels[:, size[0] // 2 :, 2] = 250
    return Image.fromarray(pixels)


def content_of(image, kind="JPEG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_a_photograph_with_metadata_that_cannot_be_read_comes_upright_and_with_its_trouble(metadata):
    content = content_of(halves(), exif=metadata)
    opened = open_image(content)
    assert opened.trouble
    assert opened.image.size == (40, 60)
    healthy = content_of(halves(), exif=exif_of(TURNED))
    assert opened.image.tobytes() == open_image(healthy).image.tobytes()
    assert open_image(healthy).trouble is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("metadata", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nothing of the kind"])
def test_broken_metadata_cost_no_image(kind, metadata):
    assert open_image(content_of(halves(), kind, exif=metadata)).image.size == (60, 40)


@pytest.mark.parametrize("raised", [struct.error, TypeError, AttributeError, ZeroDivisionError, KeyError, SyntaxError])
def test_whatever_a_library_raises_about_metadata_costs_no_image(monkeypatch, raised):
    def stumble(*_, **__):
        raise raised("metadata")

    content = content_of(halves(), exif=exif_of(TURNED))
    monkeypatch.setattr(Image.Exif, "get", stumble)
    opened = open_image(content)
    assert (opened.image.size, "metadata" in opened.trouble) == ((60, 40), True)


def test_a_segment_that_keeps_the_file_from_being_opened_costs_no_image(monkeypatch):
    content = content_of(halves(), exif=exif_of(TURNED), comment=b"a comment")

    def stumble(*_):
        raise TypeError("a comment of a kind that nobody knows")

    monkeypatch.setitem(JpegImagePlugin.MARKER, 0xFFFE, ("COM", "Comment", stumble))
    opened = open_image(content)
    assert (opened.image.size, opened.trouble is not None) == ((40, 60), True)


def test_a_png_with_more_text_than_is_read_comes_without_it():
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 2_000_000, zip=True)
    opened = open_image(content_of(halves(), "PNG", pnginfo=text))
    assert opened.image.tobytes() == halves().tobytes()
    assert "too large" in opened.trouble.lower()


def test_a_tiff_whose_resolution_is_text_comes_without_it():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[TiffImagePlugin.RESOLUTION_UNIT] = 3
    tags.tagtype[TiffImagePlugin.X_RESOLUTION] = tags.tagtype[TiffImagePlugin.Y_RESOLUTION] = TiffTags.ASCII
    tags[TiffImagePlugin.X_RESOLUTION] = tags[TiffImagePlugin.Y_RESOLUTION] = "300"
    opened = open_image(content_of(halves(), "TIFF", tiffinfo=tags))
    assert opened.image.tobytes() == halves().tobytes()
    assert opened.trouble


def test_healthy_images_are_what_pillow_makes_of_them():
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF"):
        content = content_of(halves(), kind)
        opened = open_image(content)
        assert opened.image.tobytes() == Image.open(io.BytesIO(content)).convert("RGB").tobytes()
        assert opened.trouble is None


def test_heic_is_read_but_not_where_anybody_may_have_put_it():
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(halves()).save(stream)
    opened = open_image(stream.getvalue())
    assert opened.image.size == (60, 40)
    red, _, blue = opened.image.getpixel((10, 20))
    assert red > 200 > 50 > blue
    assert open_image(stream.getvalue(), formats=COMMON).image.size == (60, 40)
    with pytest.raises(DamagedImageError, match="HEIF"):
        open_image(stream.getvalue(), formats=web_formats())
    with pytest.raises(DamagedImageError, match="HEIF"):
        open_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))


def test_each_way_to_fail_is_an_error_of_its_own(tmp_path):
    content = content_of(halves())
    with pytest.raises(NotAnImageError, match="not a picture"):
        open_image(b"hello")
    with pytest.raises(NotAnImageError):
        open_image(b"")
    with pytest.raises(DamagedImageError, match="damaged"):
        open_image(content[: len(content) // 2])
    with pytest.raises(TooManyPixelsError, match="60x40 pixels, more than the 100 allowed"):
        open_image(content, max_pixels=100)
    with pytest.raises(DamagedImageError, match="No such file"):
        open_image(tmp_path / "gone.jpg")
    with pytest.raises(DamagedImageError, match="no file"):
        open_image(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(DamagedImageError, match="no file"):
        open_image(tmp_path / "pipe.jpg")


def test_a_program_that_is_called_jpg_is_not_run():
    with pytest.raises(NotAnImageError):
        open_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")


def test_a_png_that_is_broken_in_its_pixels_is_damaged():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"nonsense") + chunk(b"IEND", b"")
    with pytest.raises(DamagedImageError, match="damaged"):
        open_image(content)
