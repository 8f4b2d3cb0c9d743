"""The thumbnails of an index."""

from io import BytesIO

from PIL import Image

from workflow_scripts.files.images import ImageError, open_image


def thumbnail(picture: Image.Image, size: int) -> bytes:
    """A JPEG of a picture whose longest side has at most `size` pixels."""
    small = picture.copy()
    small.thumbnail((size, size))
    stream = BytesIO()
    small.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def open_thumbnail(content: bytes, size: int) -> Image.Image:
    """A thumbnail of an index, RGB; a grey square where it is damaged, so that the others are seen."""
    try:
        return open_image(content).image
    except ImageError:
        return Image.new("RGB", (size, size), "#cccccc")
