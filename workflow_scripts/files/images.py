"""Images of any origin, opened by one function: trouble with metadata costs no image, and any other is one error."""

import contextlib
import stat
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeVar

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from workflow_scripts.files.bare_image import without_metadata

# Warnings are of metadata, which we tell of ourselves, and of large images, which have limits of their own here.
# Not `catch_warnings`, which is not for threads.
warnings.filterwarnings("ignore", module="PIL")

# What programs and cameras commonly write; what a stranger gives to the demo is decoded by nothing else.
COMMON = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
COMMON_TEXT = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC"
# Formats of Pillow that run other programs, or hold nothing that it decodes.
_REFUSED = frozenset(("EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "PDF"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Source = Path | bytes | BinaryIO
Result = TypeVar("Result")


class ImageError(ValueError):
    """An image cannot be had; the text is the reason, without the name of the file."""


class NotAnImageError(ImageError):
    """The content is of no format that is read."""


class TooManyPixelsError(ImageError):
    """The image is larger than is allowed."""


class DamagedImageError(ImageError):
    """The file cannot be read, or not be decoded to its end."""


@dataclass(frozen=True)
class Opened:
    """An upright RGB image, and what the trouble with its metadata was, if there was any."""

    image: Image.Image
    trouble: str | None = None


def open_image(source: Source, max_pixels: int | None = None, formats: Collection[str] | None = None) -> Opened:
    """Decode an image as upright RGB.

    Args:
        source: a file, or its content.
        max_pixels: a larger image is not decoded.
        formats: Pillow's names of those that are read; by default all but those that run other programs.

    Raises:
        ImageError: it cannot be read, whatever a library says about that.
    """

    def decode(image: ImageFile.ImageFile, _: BinaryIO) -> tuple[Image.Image, str | None]:
        turned, trouble = upright(image)
        return to_rgb(turned), trouble

    (image, trouble), more_trouble = read_image(source, decode, max_pixels, formats)
    return Opened(image, more_trouble or trouble)


def read_image(
    source: Source,
    use: Callable[[ImageFile.ImageFile, BinaryIO], Result],
    max_pixels: int | None = None,
    formats: Collection[str] | None = None,
) -> tuple[Result, str | None]:
    """Hand what Pillow makes of an image, and the stream that it reads, to a function; arguments as of `open_image`.

    Where that fails, it is tried again with the image's bytes without metadata. Returns what the function returned,
    and the trouble with the metadata.
    """
    with _stream_of(source) as stream:
        try:
            return _use(stream, use, max_pixels, formats), None
        except TooManyPixelsError:
            raise
        except Exception as error:  # Pillow's plugins raise whatever a file makes them stumble over
            first = error
        stream.seek(0)
        content = stream.read()
        bare = without_metadata(content)
        if bare is not None:
            # The first error is the one to tell where the metadata is not to blame.
            with contextlib.suppress(Exception):
                return _use(BytesIO(bare), use, max_pixels, formats), said(first)
        raise _image_error(first, content) from first


def orientation_of(image: Image.Image) -> tuple[int, str | None]:
    """How a camera was held (EXIF's orientation, 1 to 8), and the trouble with reading it; 1 where nothing says it."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception as error:
        return 1, said(error)
    return (found if isinstance(found, int) else 1), None


def upright(image: Image.Image) -> tuple[Image.Image, str | None]:
    """An image as it was seen, and the trouble with its metadata; a legible orientation counts even then."""
    image.load()
    try:
        return ImageOps.exif_transpose(image), None
    except Exception as error:  # e.g. a value elsewhere in the EXIF, which Pillow writes anew, that cannot be written
        turn = _TURNS.get(orientation_of(image)[0])
        return (image if turn is None else image.transpose(turn)), said(error)


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB of any mode: 16 bits are scaled instead of cut off, transparency stands on white."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    return image.convert("RGB")


def web_formats() -> tuple[str, ...]:
    """What is decoded of files that anybody may have put into the web: not HEIF, whose decoder runs too many risks."""
    return tuple(name for name in _readable() if name != "HEIF")


def said(error: Exception) -> str:
    """An error of a library in a line."""
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return " ".join(f"{name}: {error}".split())


def _use(
    stream: BinaryIO,
    use: Callable[[ImageFile.ImageFile, BinaryIO], Result],
    max_pixels: int | None,
    formats: Collection[str] | None,
) -> Result:
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # importing LAVIS sets it, and a cut image would pass for a whole one
    stream.seek(0)
    wanted = _formats_of(stream.read(64), formats)
    stream.seek(0)
    with Image.open(stream, formats=wanted) as image:
        if max_pixels is not None and image.width * image.height > max_pixels:
            raise TooManyPixelsError(f"{image.width}x{image.height} pixels, more than the {max_pixels} allowed")
        return use(image, stream)


def _image_error(error: Exception, content: bytes) -> ImageError:
    if isinstance(error, Image.DecompressionBombError):
        return TooManyPixelsError("more pixels than are decoded safely")
    if isinstance(error, UnidentifiedImageError) and not _is_heif(content[:64]):
        return NotAnImageError("not a picture")
    return DamagedImageError("damaged (no image in its HEIF)" if _is_heif(content[:64]) else f"damaged ({error})")


def _formats_of(start: bytes, formats: Collection[str] | None) -> tuple[str, ...]:
    """The formats that a file may be of; HEIF's decoder is loaded for HEIF only, and sees nothing else."""
    if _is_heif(start):
        return _heif() if formats is None or "HEIF" in formats else ()
    return _readable() if formats is None else tuple(name for name in formats if name != "HEIF")


def _is_heif(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS and b"avif" not in start


@cache
def _heif() -> tuple[str, ...]:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return ("HEIF",)


@cache
def _readable() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in Image.ID if name not in _REFUSED and name != "HEIF")


@contextlib.contextmanager
def _stream_of(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield BytesIO(source)
    elif not isinstance(source, Path):
        yield source
    else:
        try:
            if not stat.S_ISREG(source.stat().st_mode):  # opening a pipe would wait for ever
                raise DamagedImageError("no file, but a folder or a device")
            stream = source.open("rb")
        except OSError as error:
            raise DamagedImageError(f"cannot be read ({error.strerror})") from error
        with stream:
            yield stream
