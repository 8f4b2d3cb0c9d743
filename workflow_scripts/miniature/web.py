"""Serve a published world as the web is: mostly well, sometimes slowly, wrongly or not at all.

Without a command after `--` it serves until Ctrl-C; with one it runs the command with MIRROR_URL set, hands signals
on to it, and exits with its exit code.
"""

import argparse
import io
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from PIL import Image

from workflow_scripts.command_line import read_json, run_command
from workflow_scripts.sources.child import run_beside, start_server
from workflow_scripts.sources.static_files import StaticFiles

HTML = b"<!DOCTYPE html>\n<html><head><title>Sorry</title></head><body>This picture has moved.</body></html>\n"
HANG_SECONDS = 30.0
SLOW_SECONDS = 0.3
OVERSIZED_SIDE = 9000


class FaultyWeb(StaticFiles):
    """Answers as `faults` says for an address (host and path), and with the file for all others."""

    faults: ClassVar[dict[str, str]]
    asked: ClassVar[Counter[str]]
    lock: ClassVar[threading.Lock]
    closing: ClassVar[threading.Event]

    def answer(self, with_body: bool) -> None:
        """Send the file, or what is wrong with its address."""
        address = unquote(urlsplit(self.path).path).lstrip("/")
        fault = self.faults.get(address)
        if fault is None:
            super().answer(with_body)
            return
        with self.lock:
            times = self.asked[address]
            self.asked[address] += self.command == "GET"
        _ANSWERS[fault](self, times, with_body)

    def serve_file(self, with_body: bool) -> None:
        """Send the file as if nothing were wrong."""
        super().answer(with_body)

    def cut_off(self, with_body: bool) -> None:
        """Announce the whole file, send a part of it, and hang up."""
        path = self.local_path()
        if path is None or not with_body:
            super().answer(with_body)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        status = path.stat()
        self.send_header("ETag", f'"{status.st_mtime_ns:x}-{status.st_size:x}"')
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.close_connection = True

    def truncated(self) -> None:
        """Send a JPEG whose lower half is missing, as if it were whole."""
        path = self.local_path()
        content = path.read_bytes() if path else b""
        self.send_plain(200, content[: len(content) // 2], "image/jpeg")

    def move(self, status: int) -> None:
        """Lead to the same path of another host, `moved.` and this one, as the owners of files do that use a CDN."""
        self.send_response(status)
        self.send_header("Location", f"https://moved.{unquote(self.path).lstrip('/')}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def whole(self, with_body: bool) -> None:
        """Send the file, whatever part of it is asked for, and without anything to tell versions apart."""
        path = self.local_path()
        if path is None:
            self.send_plain(404, b"not found\n")
            return
        content = path.read_bytes() if with_body else b""
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(path.stat().st_size))
        self.end_headers()
        self.wfile.write(content)

    def hang(self) -> None:
        """Say nothing for longer than anybody waits, then hang up."""
        self.closing.wait(HANG_SECONDS)
        self.close_connection = True

    def slow(self, with_body: bool) -> None:
        """Wait a little before answering."""
        time.sleep(SLOW_SECONDS)
        self.serve_file(with_body)


def _failing(times_wanted: int) -> Callable[[FaultyWeb, int, bool], None]:
    def answer(web: FaultyWeb, times: int, with_body: bool) -> None:
        if times < times_wanted:
            web.send_plain(500, b"internal server error\n")
        else:
            web.serve_file(with_body)

    return answer


_ANSWERS: dict[str, Callable[[FaultyWeb, int, bool], None]] = {
    "404": lambda web, times, with_body: web.send_plain(404, b"not found\n"),
    "410": lambda web, times, with_body: web.send_plain(410, b"gone\n"),
    "500": lambda web, times, with_body: web.send_plain(500, b"internal server error\n"),
    "500_once": _failing(1),
    "500_twice": _failing(2),
    "html": lambda web, times, with_body: web.send_plain(200, HTML, "text/html"),
    "moved": lambda web, times, with_body: web.move(302),
    "moved_for_good": lambda web, times, with_body: web.move(301),
    "403": lambda web, times, with_body: web.send_plain(403, b"forbidden\n"),
    "no_head": lambda web, times, with_body: web.serve_file(True) if with_body else web.send_plain(405, b"GET only\n"),
    "no_ranges": lambda web, times, with_body: web.whole(with_body),
    "truncated": lambda web, times, with_body: web.truncated(),
    "oversized": lambda web, times, with_body: web.send_plain(200, oversized_jpeg(), "image/jpeg"),
    "hang": lambda web, times, with_body: web.hang(),
    "slow": lambda web, times, with_body: web.slow(with_body),
    "cut_off": lambda web, times, with_body: web.cut_off(with_body),
    "cut_off_once": lambda web, times, with_body: web.cut_off(with_body) if times == 0 else web.serve_file(with_body),
}
FAULTS = tuple(_ANSWERS)

_oversized: list[bytes] = []
_oversized_lock = threading.Lock()


def oversized_jpeg() -> bytes:
    """Return a JPEG of few bytes that would fill 243 MB when decoded."""
    with _oversized_lock:
        if not _oversized:
            stream = io.BytesIO()
            Image.new("L", (OVERSIZED_SIDE, OVERSIZED_SIDE), 128).save(stream, "JPEG", quality=30)
            _oversized.append(stream.getvalue())
    return _oversized[0]


def make_handler(root: Path, faults: dict[str, str]) -> type[FaultyWeb]:
    """Return a request handler for a web root with the given faults (kind by host and path)."""
    unknown = sorted(set(faults.values()) - set(FAULTS))
    if unknown:
        raise ValueError(f"faults.json names the unknown fault {unknown[0]!r}; known are {', '.join(FAULTS)}.")
    state = {"asked": Counter(), "lock": threading.Lock(), "closing": threading.Event()}
    return type("Web", (FaultyWeb,), {"root": root, "faults": faults, **state})


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--root R/world/web [--faults F.json] [--port N] [-- command ...]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with one sub-folder a host")
    parser.add_argument("--faults", type=Path, help="default: faults.json beside the root")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 for a free one")
    parser.add_argument("command", nargs="*", help="after --: the command to run; without one, serve until Ctrl-C")
    arguments = parser.parse_args(argv)
    if not arguments.root.is_dir():
        raise ValueError(f"The web root {arguments.root} does not exist; run miniature.publish first.")
    faults = arguments.faults or arguments.root.parent / "faults.json"
    handler = make_handler(arguments.root, read_json(faults))
    try:
        code = run_beside(start_server(handler, arguments.port), arguments.command)
    finally:
        handler.closing.set()
    sys.exit(code)


if __name__ == "__main__":
    run_command(main)
