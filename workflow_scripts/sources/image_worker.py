"""The parts of img2dataset with what they lack: a mirror, size limits, and a refusal of broken files.

Objects of these classes travel to img2dataset's worker processes by pickle, hence a module of their own.
"""

import email.message
import hashlib
import io
import json
import urllib.error
import urllib.request
import urllib.response
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from img2dataset.downloader import Downloader
from img2dataset.resizer import ResizeMode, Resizer
from PIL import ImageFile

from workflow_scripts.files.images import (
    ImageError,
    NotAnImageError,
    TooManyPixelsError,
    orientation_of,
    read_image,
    to_rgb,
    upright,
)
from workflow_scripts.sources.failures import BROKEN, NOT_A_PICTURE, TOO_LARGE_FILE, TOO_LARGE_PICTURE
from workflow_scripts.sources.mirror import MirrorHandler

# A shard's file of pictures whose metadata cannot be read, beside its tar file; it is there only if it has any.
TROUBLES = "_metadata.jsonl"


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
        # Of this shard alone, also where an earlier attempt at it broke off.
        self.resizer.troubles = Path(self.output_folder) / f"{row[0]:0{self.oom_shard_count}d}{TROUBLES}"
        self.resizer.troubles.unlink(missing_ok=True)
        return super().__call__(row)


class StrictResizer(Resizer):
    """img2dataset's resizer, for whole pictures only.

    OpenCV decodes a truncated JPEG to a picture with a grey lower part, ignores the orientation that a camera noted,
    and needs all the memory that a picture announces. So each file is looked at with Pillow first: a broken one is
    refused, an oversized one never decoded, and a turned, CMYK, palette or GIF picture handed on upright in RGB.
    """

    maximum_pixels = 1 << 40
    formats: tuple[str, ...] | None = None
    troubles: Path | None = None

    def __call__(self, img_stream: io.BytesIO, blurring_bbox_list: Any = None) -> tuple:
        """Return (JPEG bytes, width, height, original width, original height, error or None).

        A picture whose metadata cannot be read gets a line in the file `troubles`: its sha256 and the reason.
        """
        try:
            (whole, trouble), more_trouble = read_image(img_stream, self._whole, self.maximum_pixels, self.formats)
        except NotAnImageError:
            return _refused(NOT_A_PICTURE)
        except TooManyPixelsError:
            return _refused(TOO_LARGE_PICTURE)
        except ImageError as error:
            return _refused(f"{BROKEN}: {error}")
        result = super().__call__(whole, blurring_bbox_list)
        trouble = more_trouble or trouble
        if trouble and result[-1] is None and self.troubles is not None:
            line = {"sha256": hashlib.sha256(img_stream.getvalue()).hexdigest(), "reason": trouble}
            with self.troubles.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        return result

    def _whole(self, image: ImageFile.ImageFile, stream: io.BytesIO) -> tuple[io.BytesIO, str | None]:
        """What OpenCV is to decode, of a picture that Pillow could decode to its end."""
        # OpenCV would cut 16 bits off at 255.
        eight_bits = not any(";16" in str(tile[3]) for tile in image.tile)
        if eight_bits and image.mode in ("RGB", "L") and image.format in ("JPEG", "PNG", "WEBP"):
            orientation, trouble = orientation_of(image)
            if orientation == 1:
                if self.resize_mode != ResizeMode.no:
                    image.draft(None, (self.image_size, self.image_size))  # the cheapest decoding that reads all
                image.load()
                return stream, trouble
        turned, trouble = upright(image)
        upright_rgb = io.BytesIO()
        # Not PNG: with LAVIS (through decord) in the same process, OpenCV finds another zlib and reads none.
        to_rgb(turned).save(upright_rgb, "BMP")
        return upright_rgb, trouble


def _refused(reason: str) -> tuple:
    return None, None, None, None, None, reason
