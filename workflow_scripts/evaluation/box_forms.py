"""Boxes as several models write them: told by how they look and by whether all of them lie in their pictures.

One reply does not say whether its last two numbers are a size or a corner; all replies together mostly do.
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_scripts.data.boxes import Box

Size = tuple[float, float] | None


@dataclass(frozen=True)
class Form:
    """How four numbers are a box: of what the whole picture is, None for its pixels, and with a size or a corner."""

    words: str
    whole: float | None
    corners: bool


FORMS = {
    "percent": Form("{<x><y><w><h>}, per cents, as of this workflow", 100, False),
    "percent-corners": Form("{<x1><y1><x2><y2>}, per cents, as of MiniGPT-v2", 100, True),
    "normalised": Form("[x,y,w,h] from 0 to 1", 1, False),
    "normalised-corners": Form("[x1,y1,x2,y2] from 0 to 1, as of Shikra and LLaVA", 1, True),
    "thousandths-corners": Form("(x1,y1),(x2,y2) or [x1,y1,x2,y2] up to 1000, as of Qwen-VL and CogVLM", 1000, True),
    "pixels": Form("[x,y,w,h] in pixels, as of COCO", None, False),
    "pixels-corners": Form("[x1,y1,x2,y2] in pixels", None, True),
}
# Of the two readings that a way of writing has, the one that it is by convention comes first.
_READINGS = {
    "braces": ("percent", "percent-corners"),
    "tag": ("thousandths-corners", "thousandths-corners"),
    "brackets": ("normalised-corners", "normalised"),
    "shares": ("normalised", "normalised-corners"),
    "numbers": ("pixels", "pixels-corners"),
}
_SILENT = ("percent", "pixels")
_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_WRITTEN = {
    "braces": re.compile(r"\{" + r"\s*<\s*(\d+)\s*>" * 4 + r"\s*\}"),
    "tag": re.compile(r"<box>\s*\(" + _NUMBER + "," + _NUMBER + r"\)\s*,\s*\(" + _NUMBER + "," + _NUMBER + r"\)"),
    "brackets": re.compile(r"\[" + ",".join([_NUMBER] * 4) + r"[\];]"),
}
# Of all boxes, how many may lie outside their pictures in the right form, and must in a wrong one.
_SHARE = 0.1
# As far as rounded numbers may stray beyond a picture.
_STRAY = 1.01


@dataclass(frozen=True)
class ReadBox:
    """A box (x, y, w, h in pixels) and the name of the form that it was read in."""

    box: Box
    form: str


def read_boxes(replies: Sequence[Any], sizes: Sequence[Size], form: str | None = None) -> list[ReadBox | None]:
    """Read the first box of each reply [N], a text or four numbers, of pictures of sizes [N]; None where there is none.

    Without a form it is told by all replies; one that is no convention, or could be another, is said on standard error.
    """
    found = [_find(reply) for reply in replies]
    if form is None and _are_shares([one[1] for one in found if one and one[0] == "numbers"]):
        found = [("shares", one[1]) if one and one[0] == "numbers" else one for one in found]
    if form is None:
        found = [one if one and _is_known(*one) else None for one in found]
    told: dict[str, str] = {}
    for way in dict.fromkeys(one[0] for one in found if one):
        rows = [row for row, one in enumerate(found) if one and one[0] == way]
        told[way] = form or _tell(way, [found[row][1] for row in rows], [sizes[row] for row in rows])
    return [
        ReadBox(_to_pixels(one[1], size, FORMS[told[one[0]]]), told[one[0]]) if one else None
        for one, size in zip(found, sizes, strict=True)
    ]


def _find(reply: Any) -> tuple[str, Box] | None:
    """How a reply writes its first box, and its four numbers."""
    if not isinstance(reply, str):
        numbers = four_numbers(reply)
        return None if numbers is None else ("numbers", numbers)
    for way, pattern in _WRITTEN.items():
        if match := pattern.search(reply):
            return way, tuple(map(float, match.groups()))
    return None


def four_numbers(value: Any) -> Box | None:
    """Four finite numbers, or None."""
    if value is None or isinstance(value, str | Mapping) or not isinstance(value, Sequence) or len(value) != 4:
        return None
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in value):
        return None
    return tuple(map(float, value))


def _are_shares(boxes: Sequence[Box]) -> bool:
    """Whether boxes are shares of their pictures: none exceeds 1, where boxes of pixels would all be of one pixel."""
    return all(min(box) >= 0 and max(box) <= _STRAY for box in boxes) and any(any(box) for box in boxes)


def _is_known(way: str, numbers: Box) -> bool:
    """Whether numbers fit their way of writing: in brackets those above 1 may be pixels as well as thousandths."""
    if way == "brackets":
        return max(numbers) <= _STRAY
    return way != "braces" or max(numbers) <= 100


def _tell(way: str, boxes: Sequence[Box], sizes: Sequence[Size]) -> str:
    """The form of all boxes that are written in one way: its convention, unless they fit the other better."""
    usual, other = _READINGS[way]
    fits = {
        name: [_fits(box, size, FORMS[name]) for box, size in zip(boxes, sizes, strict=True)] for name in (usual, other)
    }
    missed, missed_by_other = (fits[name].count(False) for name in (usual, other))
    chosen = usual
    if missed_by_other <= _SHARE * len(boxes) <= missed and 2 * missed_by_other < missed:
        chosen = other
    elif usual != other and not missed and not missed_by_other:
        print(
            f"note: the boxes are read as {FORMS[usual].words}; they could be {FORMS[other].words} as well, which "
            f"--form {other} says.",
            file=sys.stderr,
        )
        return chosen
    if chosen not in _SILENT:
        print(f"note: the boxes are read as {FORMS[chosen].words}; --form says so or otherwise.", file=sys.stderr)
    return chosen


def _fits(box: Box, size: Size, form: Form) -> bool:
    """Whether numbers are a box with an area, in its picture as far as the picture's size is known."""
    width, height = (form.whole, form.whole) if form.whole else size or (math.inf, math.inf)
    first_x, first_y, last_x, last_y = box
    if not form.corners:
        last_x, last_y = first_x + last_x, first_y + last_y
    return first_x < last_x <= width * _STRAY and first_y < last_y <= height * _STRAY and min(first_x, first_y) >= 0


def _to_pixels(numbers: Box, size: Size, form: Form) -> Box:
    if form.whole is not None:
        if size is None:
            raise ValueError('A picture has no width and height among the "images" to read its box with.')
        width, height = size
        numbers = tuple(
            number * extent / form.whole for number, extent in zip(numbers, (width, height) * 2, strict=True)
        )
    x, y, last_x, last_y = numbers
    return (x, y, last_x - x, last_y - y) if form.corners else numbers
