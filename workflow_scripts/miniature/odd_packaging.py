"""Oddities of published files that change nothing in them: how they are packed and written.

RefCOCO's phrases are a pickle of Python 2, whose text is bytes. Archives that were packed on a Mac hold a folder of
their own with files that are no images and no JSON, whatever their names say; and who downloads twice has copies with a
number after the ending.
"""

import io
import pickle
from collections.abc import Mapping
from typing import Any

_OF_MACOS = b"\0\5\x16\7\0\2\0\0Mac OS X        \0\2\0\0\0\x09"


class _Python2Pickler(pickle._Pickler):  # type: ignore[misc, name-defined]
    """Writes text as Python 2 wrote its strings."""

    def save_as_bytes(self, text: str) -> None:
        content = text.encode()
        if len(content) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(content)]) + content)
        else:
            self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)
        self.memoize(text)

    dispatch = {**pickle._Pickler.dispatch, str: save_as_bytes}  # type: ignore[attr-defined]  # noqa: RUF012


def python_2_pickle(value: Any) -> bytes:
    """Pickle a value as Python 2 did, with protocol 2."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def packed_on_a_mac(members: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the members of an archive with what macOS adds: two files named as the first one, in its own folder."""
    folder, _, name = next(iter(members)).rpartition("/")
    place = f"__MACOSX/{folder}/".replace("//", "/")
    return {**members, f"{place}._{name}": _OF_MACOS, f"{place}{name}": _OF_MACOS}


def downloaded_twice(members: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    """Return the members of an archive with a copy of one of them, as download programs name it."""
    return {**members, f"{name}.1": members[name]}
