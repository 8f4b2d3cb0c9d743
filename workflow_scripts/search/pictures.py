"""Pictures of any folder, read defensively: what cannot be shown is listed with its reason, never fatal."""

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"))


def list_pictures(folder: Path) -> Iterator[Path]:
    """Files below a folder that their suffix calls pictures, sorted by path; hidden ones are left out."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give one that holds pictures.")
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def open_picture(path: Path, max_pixels: int) -> Image.Image:
    """Decode a picture as RGB, upright; ValueError with the reason where that cannot be done."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit of pixels comes below
            ImageFile.LOAD_TRUNCATED_IMAGES = False  # importing lavis sets it, and grey halves would pass as pictures
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > max_pixels:
                    raise ValueError(f"{width}x{height} pixels, more than the {max_pixels} allowed")
                picture.load()
                return to_rgb(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise ValueError("not a picture") from None
    except Image.DecompressionBombError:
        raise ValueError("more pixels than are decoded safely") from None
    except (OSError, SyntaxError, EOFError, MemoryError) as error:
        raise ValueError(f"damaged ({error})") from error


def to_rgb(picture: Image.Image) -> Image.Image:
    """RGB of any mode: 16 bits are scaled instead of cut off, transparency stands on white."""
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        picture = Image.new("RGBA", layer.size, "white")
        picture.alpha_composite(layer)
    return picture.convert("RGB")


def thumbnail(picture: Image.Image, size: int) -> bytes:
    """A JPEG of a picture whose longest side has at most `size` pixels."""
    small = picture.copy()
    small.thumbnail((size, size))
    stream = BytesIO()
    small.save(stream, "JPEG", quality=85)
    return stream.getvalue()
