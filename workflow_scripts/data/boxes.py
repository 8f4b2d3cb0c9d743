"""Boxes in text: `{<x><y><w><h>}`, whole per cents of the image, x and y of the top left corner."""

import re

Box = tuple[float, float, float, float]

_BOX = re.compile(r"\{\s*<\s*(\d+)\s*>\s*<\s*(\d+)\s*>\s*<\s*(\d+)\s*>\s*<\s*(\d+)\s*>\s*\}")


def format_box(box: Box, width: float, height: float) -> str:
    """Write a box (x, y, w, h in pixels) of an image of the given size as text.

    Both edges are rounded, rather than edge and extent, so that no edge is off by more than half a per cent.
    """
    if width <= 0 or height <= 0:
        raise ValueError(f"An image of {width}x{height} pixels has no boxes; check the annotation file.")
    x, y, w, h = box
    left, right = _per_cent(x, width), _per_cent(x + w, width)
    top, bottom = _per_cent(y, height), _per_cent(y + h, height)
    return f"{{<{left}><{top}><{right - left}><{bottom - top}>}}"


def _per_cent(position: float, extent: float) -> int:
    return min(100, max(0, int(100 * position / extent + 0.5)))


def parse_box(text: str, width: float, height: float) -> Box | None:
    """Read the first box of a text as (x, y, w, h) in pixels; None where there is none or a number exceeds 100."""
    match = _BOX.search(text)
    if match is None:
        return None
    x, y, w, h = (int(number) for number in match.groups())
    if max(x, y, w, h) > 100:
        return None
    return (x * width / 100, y * height / 100, w * width / 100, h * height / 100)
