"""Whether a file can be what its name says: servers answer with a page, and status 200, in place of data."""

import re
import tarfile
from collections.abc import Callable
from pathlib import Path

PAGES = (".html", ".htm", ".xml", ".svg")
_HEAD = 4096
_PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|script|\?xml)\b", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(rb"<title[^>]*>\s*(.*?)\s*</title", re.IGNORECASE | re.DOTALL)


def _is_zip(path: Path, head: bytes) -> bool:
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _is_tar(path: Path, head: bytes) -> bool:
    # An archive that is damaged further on is found out when it is unpacked.
    return tarfile.is_tarfile(path) or head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ"))


def _is_json(path: Path, head: bytes) -> bool:
    return re.match(rb'\s*([\[{"\d-]|true|false|null)', head.removeprefix(b"\xef\xbb\xbf")) is not None


def _is_safetensors(path: Path, head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8


def _is_saved_by_torch(path: Path, head: bytes) -> bool:
    return _is_zip(path, head) or head.startswith(b"\x80") or _is_tar(path, head)


def _starts_with(start: bytes) -> Callable[[Path, bytes], bool]:
    return lambda path, head: head.startswith(start)


_KINDS: dict[str, Callable[[Path, bytes], bool]] = {
    ".zip": _is_zip,
    ".tar": _is_tar,
    ".tar.gz": _is_tar,
    ".tgz": _is_tar,
    ".json": _is_json,
    ".safetensors": _is_safetensors,
    ".pth": _is_saved_by_torch,
    ".pt": _is_saved_by_torch,
    ".gguf": _starts_with(b"GGUF"),
    ".parquet": _starts_with(b"PAR1"),
}


def why_not(path: Path, name: str) -> str | None:
    """Say why a file cannot be what is stored under a name: a page, or content of another kind; None where it can."""
    lower = name.lower()
    if lower.endswith(PAGES):
        return None
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    if _PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        title = _TITLE.search(head)
        words = f" ({title.group(1)[:60].decode(errors='replace')!r})" if title else ""
        return f"the answer is a page for browsers{words}, not the file"
    kind = next((kind for kind in _KINDS if lower.endswith(kind)), None)
    if kind and not _KINDS[kind](path, head):
        return f"the answer is no {kind} file: it begins with {head[:16]!r}"
    return None
