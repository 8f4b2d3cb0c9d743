"""Answers that are out of the ordinary: they are scored like all others, and counted beside the score."""

import unicodedata
from collections.abc import Sequence

LONG_ANSWER = 20
"""Words above which an answer to a question counts as very long."""
LONG_CAPTION = 100
"""The same of a description."""
_CHARACTERS_A_WORD = 10


def count_unusual(predictions: Sequence[str], long: int) -> dict[str, int]:
    """How many predictions are empty, have more than `long` words (or ten times as many characters), or hold letters
    of another script than the Latin one."""
    return {
        "empty_predictions": sum(not text.strip() for text in predictions),
        "long_predictions": sum(_is_long(text, long) for text in predictions),
        "other_script_predictions": sum(_has_other_script(text) for text in predictions),
    }


def _is_long(text: str, words: int) -> bool:
    return len(text) > words and (len(text) > words * _CHARACTERS_A_WORD or len(text.split()) > words)


def _has_other_script(text: str) -> bool:
    if text.isascii():
        return False
    letters = (char for char in text if not char.isascii() and char.isalpha())
    return any(not unicodedata.name(char, "").startswith(("LATIN", "FULLWIDTH LATIN")) for char in letters)
