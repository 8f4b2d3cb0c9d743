"""The parts of img2dataset with what they lack: a mirror, size limits, and a refusal of broken files.

Objects of these classes travel to img2dataset's worker processes by pickle, hence a module of their own.
"""

import email.message
import io
import urllib.error
import urllib.request
import urllib.response
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from img2dataset.downloader import Downloader
from img2dataset.resizer import Resizer
from PIL import Image, ImageOps, UnidentifiedImageError

from workflow_scripts.sources.failures import BROKEN, NOT_A_PICTURE, TOO_LARGE_FILE, TOO_LARGE_PICTURE
from workflow_scripts.sources.mirror import MirrorHandler

ORIENTATION = 0x0112


class SizeLimit(urllib.request.BaseHandler):
    """Refuses answers that announce more bytes than allowed, before they are read."""

    def __init__(self, maximum_bytes: int) -> None:
        self.maximum_bytes = maximum_bytes

    def http_response(self, request: urllib.request.Request, response: HTTPResponse) -> HTTPResponse:
        """Check the Content-Length of one answer."""
        length = response.headers.get("Content-Length")
        if length is not None and length.isdigit() and int(length) > self.maximum_bytes:
            response.close()
            raise urllib.error.URLError(TOO_LARGE_FILE)
        return response

    https_response = http_response


class ArchiveHandler(urllib.request.BaseHandler):
    """Opens `archive://NAME/path` below a folder: pictures that a data set ships in its archive."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def archive_open(self, request: urllib.request.Request) -> urllib.response.addinfourl:
        """Open one file, or the part of a tar file that the address names by offset and size."""
        parts = urlsplit(request.full_url)
        path = self.root / unquote(parts.path).lstrip("/")
        stream: BinaryIO = path.open("rb")
        if parts.query:
            place = parse_qs(parts.query)
            with stream:
                stream.seek(int(place["offset"][0]))
                stream = io.BytesIO(stream.read(int(place["size"][0])))
        return urllib.response.addinfourl(stream, email.message.Message(), request.full_url)


class MirrorDownloader(Downloader):
    """img2dataset's downloader of a shard; it asks the mirror where the environment names one."""

    maximum_bytes = 1 << 30
    archive: Path | None = None

    def __call__(self, row: tuple[int, str]) -> tuple[bool, tuple[int, str]]:
        """Download one shard, in whichever process this runs."""
        handlers = [MirrorHandler(), SizeLimit(self.maximum_bytes)]
        if self.archive is not None:
            handlers.append(ArchiveHandler(self.archive))
        urllib.request.install_opener(urllib.request.build_opener(*handlers))
        return super().__call__(row)


class StrictResizer(Resizer):
    """img2dataset's resizer, for whole pictures only.

    OpenCV decodes a truncated JPEG to a picture with a grey lower part, ignores the orientation that a camera noted,
    and needs all the memory that a picture announces. So each file is looked at with Pillow first: a broken one is
    refused, an oversized one never decoded, and a turned, CMYK, palette or GIF picture handed on upright in RGB.
    """

    maximum_pixels = 1 << 40

    def __call__(self, img_stream: io.BytesIO, blurring_bbox_list: Any = None) -> tuple:
        """Return (JPEG bytes, width, height, original width, original height, error or None)."""
        try:
            img_stream.seek(0)
            with Image.open(img_stream) as image:
                if image.width * image.height > self.maximum_pixels:
                    return _refused(TOO_LARGE_PICTURE)
                plain = image.mode in ("RGB", "L") and image.format in ("JPEG", "PNG", "WEBP")
                if plain and image.getexif().get(ORIENTATION, 1) == 1:
                    image.draft(None, (self.image_size, self.image_size))  # the cheapest decoding that reads all
                    image.load()
                else:
                    img_stream = _upright_rgb(image)
        except UnidentifiedImageError:
            return _refused(NOT_A_PICTURE)
        except Image.DecompressionBombError:
            return _refused(TOO_LARGE_PICTURE)
        except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them stumble over
            return _refused(f"{BROKEN}: {error}")
        return super().__call__(img_stream, blurring_bbox_list)


def _refused(reason: str) -> tuple:
    return None, None, None, None, None, reason


def _upright_rgb(image: Image.Image) -> io.BytesIO:
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    stream = io.BytesIO()
    # Not PNG: once LAVIS (through decord) is imported in the same process, OpenCV finds another zlib and reads none.
    image.convert("RGB").save(stream, "BMP")
    return stream
