"""Files that a user gives: read as other programs write them, and refused in a sentence about the file itself."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Hook = Callable[[list[tuple[str, Any]]], Any] | None

_UTF_8_BOM = b"\xef\xbb\xbf"
# What other files start with; the longer first.
_OTHERS = (
    (b"\xff\xfe\0\0", "text in UTF-32"),
    (b"\0\0\xfe\xff", "text in UTF-32"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a zip archive, as .npz, .xlsx and .docx are"),
    (b"\x1f\x8b", "compressed by gzip"),
)


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    r"""The lines of a text that are not blank, with their numbers from 1.

    They end at "\n" alone. `splitlines` also cuts at U+2028, U+0085 and others, which stand unescaped in JSON's texts
    and in the words of vocabularies.
    """
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def read_given_text(path: Path) -> str:
    """Read a text in UTF-8, with or without a byte order mark; anything else is a ValueError that says what it is."""
    content = _bytes_of(Path(path))
    found = next((name for start, name in _OTHERS if content.startswith(start)), None)
    if found is None and b"\0" in content:
        found = "text in UTF-16, or no text at all"
    if found:
        way_out = "save it in UTF-8" if "UTF" in found else "give it as text"
        raise ValueError(f"{path} is {found}, where a text in UTF-8 is expected; {way_out}.")
    try:
        return content.removeprefix(_UTF_8_BOM).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not text in UTF-8 (byte 0x{content[error.start]:02x} in line {line}); "
            "save it in UTF-8, from Latin-1 by `iconv -f LATIN1 -t UTF-8`, say."
        ) from None


def read_given_json(path: Path, hook: Hook = None) -> Any:
    """Read a JSON file of a user in UTF-8; one that is damaged or something else is a ValueError that names it."""
    text = read_given_text(path)
    if not text.strip():
        raise ValueError(f"{path} is empty.")
    try:
        return _parse(text, hook)
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from None


def read_given_rows(path: Path, fields: Sequence[str] = (), key: str | None = None, hook: Hook = None) -> Any:
    """Read rows from a JSON list, from JSON lines, or from the list under `key` of a JSON object.

    An object that has one of `fields` is a single row. Any other JSON is returned as it is, for the caller to refuse.
    """
    text = read_given_text(path)
    if not text.strip():
        raise ValueError(f"{path} is empty.")
    try:
        content = _parse(text, hook)
    except json.JSONDecodeError as error:
        # Something behind a whole value is a second line; without a key, a damaged first line is one of several too.
        if error.msg != "Extra data" and (key is not None or text.lstrip().startswith("[")):
            raise ValueError(f"{path} is not valid JSON ({error}).") from None
        return [_parse_line(line, number, path, hook) for number, line in lines_of(text)]
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}).") from None
    if isinstance(content, dict):
        if key is not None and key in content:
            return content[key]
        if any(name in content for name in fields):
            return [content]
    return content


def _parse_line(line: str, number: int, path: Path, hook: Hook) -> Any:
    try:
        return _parse(line, hook)
    except ValueError as error:
        raise ValueError(f"Line {number} of {path} is not JSON ({error}).") from None


def _parse(text: str, hook: Hook) -> Any:
    try:
        return json.loads(text, object_pairs_hook=hook)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; look at its name.") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; name the file in it.") from None
