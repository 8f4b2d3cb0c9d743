"""The bytes of an image without its metadata, for files whose metadata keep them from being opened.

Only what decoding needs is kept; how a camera was held is kept as the smallest EXIF that says it, where it is legible.
"""

import struct
from collections.abc import Iterator

from PIL import Image

_ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks of PNG and WebP that pixels depend on.
_PNG_CHUNKS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_WEBP_CHUNKS = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"))
# JFIF and Adobe say how colours are stored; the frame, tables and scans are all other markers below 0xE0.
_JPEG_KEPT = frozenset((0xE0, 0xEE))
_TIFF_TAGS = frozenset(
    (*range(254, 263), 266, 273, _ORIENTATION, *range(277, 280), 284, 292, 293, 317, 320, *range(322, 326), 332, 334)
) | {338, 339, 347, *range(512, 522), *range(529, 533)}


def without_metadata(content: bytes) -> bytes | None:
    """An image's bytes without metadata; None for a format, or a damage, in which they cannot be told apart."""
    try:
        if content.startswith(b"\xff\xd8"):
            return _jpeg(content)
        if content.startswith(_PNG):
            return _png(content)
        if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return _webp(content)
        if content[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(content)
    except (struct.error, IndexError):
        return None
    return None


def _jpeg(content: bytes) -> bytes:
    kept, exif, place = [b"\xff\xd8"], b"", 2
    while True:
        if content[place] != 0xFF:
            raise IndexError
        while content[place + 1] == 0xFF:  # fill bytes
            place += 1
        marker = content[place + 1]
        if marker in (0xDA, 0xD9):  # the scans; all the rest belongs to them
            break
        (size,) = struct.unpack_from(">H", content, place + 2)
        segment = content[place : place + 2 + size]
        if marker == 0xE1 and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[4:]
        if marker in _JPEG_KEPT or marker < 0xE0:
            kept.append(segment)
        place += 2 + size
    small = _smallest_exif(exif)
    if small:
        kept.insert(1, b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small)
    return b"".join([*kept, content[place:]])


def _png(content: bytes) -> bytes:
    kept, exif, place = [], b"", len(_PNG)
    while place < len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"eXIf":
            exif = content[place + 8 : place + 8 + size]
        if kind in _PNG_CHUNKS:
            kept.append(content[place : place + 12 + size])
        place += 12 + size
    small = _smallest_exif(b"Exif\0\0" + exif)[6:]
    if small:
        import zlib

        chunk = b"eXIf" + small
        kept.insert(1, struct.pack(">I", len(small)) + chunk + struct.pack(">I", zlib.crc32(chunk)))
    return b"".join([_PNG, *kept])


def _webp(content: bytes) -> bytes:
    kept, place = [], 12
    while place < len(content):
        kind, size = struct.unpack_from("<4sI", content, place)
        chunk = content[place : place + 8 + size + size % 2]
        if kind == b"VP8X":  # its flags announce what is left out: profile, EXIF, XMP
            chunk = chunk[:8] + bytes([chunk[8] & ~0b101100]) + chunk[9:]
        if kind in _WEBP_CHUNKS:
            kept.append(chunk)
        place += 8 + size + size % 2
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(content: bytes) -> bytes:
    """The first image of a TIFF: the entries of its directory that are of the pixels, moved together in place."""
    order = "<" if content.startswith(b"II") else ">"
    (place,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, place)
    entries = [content[place + 2 + 12 * row : place + 14 + 12 * row] for row in range(count)]
    kept = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] in _TIFF_TAGS]
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    return content[:place] + directory + content[place + len(directory) :]


def _smallest_exif(segment: bytes) -> bytes:
    """EXIF that holds the orientation of another and nothing else; empty where there is none."""
    for orientation in _orientations(segment):
        small = Image.Exif()
        small[_ORIENTATION] = orientation
        return small.tobytes()
    return b""


def _orientations(segment: bytes) -> Iterator[int]:
    exif = Image.Exif()
    try:
        exif.load(segment)
        found = exif.get(_ORIENTATION)
    except Exception:  # whatever it is that made the file's metadata the trouble
        return
    if isinstance(found, int) and 2 <= found <= 8:
        yield found
