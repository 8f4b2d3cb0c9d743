"""A request handler for files below a folder, with HEAD, ETag and Range."""

import contextlib
import os
import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import BinaryIO, ClassVar
from urllib.parse import quote, unquote, urlsplit

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")
_TYPES = {".jpg": "image/jpeg", ".json": "application/json", ".zip": "application/zip", ".tsv": "text/plain"}


class StaticFiles(BaseHTTPRequestHandler):
    """Serves `root`; the first part of a path is the host whose files are asked for."""

    root: ClassVar[Path]
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: ten thousand requests are not news."""

    def do_GET(self) -> None:
        """Answer with the file, or the part of it that Range asks for."""
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self.answer(with_body=False)

    def answer(self, with_body: bool) -> None:
        """Send the file that the path names; 404 if there is none, and 403 if it may not be read."""
        path = self.local_path()
        if path is None:
            self.send_plain(404, b"not found\n", reason=self.why_not_found())
            return
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            self.send_plain(403, b"forbidden\n", reason=f"it cannot be read there ({error.strerror})")
            return
        self.send_file(path, with_body)

    def local_path(self) -> Path | None:
        """Return the file that the request names; None if there is none.

        No request leads out of the root by its path. Links below it do, since whoever set them up wants them followed.
        """
        path = self._asked_path()
        with contextlib.suppress(ValueError, OSError):  # a null byte, or a name that is too long
            if path is not None and path.is_file():
                return path
        return None

    def why_not_found(self) -> str | None:
        """Return what to say of a file that is not there: the link on its path that leads nowhere."""
        path = self._asked_path()
        with contextlib.suppress(ValueError, OSError):
            for place in [path, *path.parents] if path is not None else []:
                if place == self.root:
                    break
                if place.is_symlink() and not place.exists():
                    link = quote(f"{place.relative_to(self.root)}, a link to {os.readlink(place)}", safe=" ,/")
                    return f"{link}, leads nowhere"
        return None

    def _asked_path(self) -> Path | None:
        relative = unquote(urlsplit(self.path).path).lstrip("/")
        return None if ".." in Path(relative).parts else self.root / relative

    def send_plain(self, status: int, body: bytes, content_type: str = "text/plain", reason: str | None = None) -> None:
        """Send a short answer; `reason` stands in the status line, where clients find it."""
        self.send_response(status, reason)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_file(self, path: Path, with_body: bool) -> None:
        """Send a file or a part of it."""
        status = path.stat()
        size, tag = status.st_size, f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        first, last, code = 0, size - 1, 200
        match = _RANGE.match(self.headers.get("Range", ""))
        wanted = self.headers.get("If-Range")
        if match and any(match.groups()) and wanted in (None, tag):
            start, end = match.groups()
            first = int(start) if start else max(0, size - int(end))
            last = min(int(end), size - 1) if start and end else size - 1
            code = 206
            if first >= size or first > last:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        length = max(0, last - first + 1)
        self.send_response(code)
        self.send_header("Content-Type", _TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        if code == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if with_body:
            with path.open("rb") as stream:
                stream.seek(first)
                self.copy(stream, length)

    def copy(self, stream: BinaryIO, length: int) -> None:
        """Send `length` bytes of a stream."""
        while length > 0 and (block := stream.read(min(length, 1 << 20))):
            self.wfile.write(block)
            length -= len(block)
