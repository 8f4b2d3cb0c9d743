"""Clean captions, queries and answers."""

import re
import unicodedata

_WHITESPACE = re.compile(r"\s+")
_COMMAS = re.compile(r"\s*,[\s,]*")
_APOSTROPHES = "'’ʼ`´"
# Tokenised corpora write "the dog 's bone" and "is n't".
_TORN_WORD = re.compile(r"\s+(?=(?:['’](?:s|t|re|ve|ll|d|m)|n['’]t)\b)")


def collapse_whitespace(text: str) -> str:
    """Replace line breaks, tabs, control characters and runs of blanks by one blank each."""
    text = "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") else char for char in text)
    return _WHITESPACE.sub(" ", text).strip()


def normalise_caption(text: str) -> str:
    """Lower-case a caption and remove punctuation and symbols but commas, as the report did.

    An apostrophe vanishes ("dog's" becomes "dogs"); any other mark separates words ("black-and-white" becomes
    "black and white"). Letters of every script stay.
    """
    kept = []
    for char in _TORN_WORD.sub("", collapse_whitespace(text).lower()):
        if char in _APOSTROPHES:
            continue
        is_mark = unicodedata.category(char)[0] in "PS" and char != ","
        kept.append(" " if is_mark else char)
    return _WHITESPACE.sub(" ", _COMMAS.sub(", ", "".join(kept))).strip(" ,")


_LAVIS_MARKS = re.compile(r'[.!"()*#:;~]')
_LAVIS_WORDS = 50


def caption_of_lavis(text: str) -> str:
    """Clean a caption as LAVIS evaluates retrieval (`blip_caption`): lower case, without the marks . ! " ( ) * # : ; ~

    Commas, hyphens and apostrophes stay; more than 50 words are cut off.
    """
    text = re.sub(r"\s{2,}", " ", _LAVIS_MARKS.sub(" ", text.lower())).rstrip("\n").strip(" ")
    return " ".join(text.split(" ")[:_LAVIS_WORDS])


def normalise_query(text: str) -> str:
    """Lower-case a query or an answer and tidy its blanks; its punctuation stays."""
    return collapse_whitespace(text).lower()


def count_tokens(text: str) -> int:
    """Count the words of a caption, separated by blanks (so that the count needs no model)."""
    return len(text.split())


_KINDS = (
    ("colour", re.compile(r"\b(colou?rs?|colou?red)\b")),
    ("count", re.compile(r"^how many\b|\bnumber of\b")),
    ("size", re.compile(r"\b(what size|how (big|large|small|tall))\b|^is .* (large|small|big) or (large|small|big)")),
    ("background", re.compile(r"\b(background|weather|scenery|taken)\b")),
    ("where", re.compile(r"^where\b|\bwhich (side|part|corner)\b")),
    ("exists", re.compile(r"^(is|are) there\b|^can you see\b|^do you see\b|^does (the|this) (image|picture)\b")),
)
_FIRST_WORDS = ("what", "who", "why", "when", "how", "which")
_YES_NO_WORDS = ("is", "are", "do", "does", "can", "has", "was", "were", "did", "will", "could", "would", "should")


def question_kind(query: str) -> str:
    """Tell the kind of a question by its words: colour, count, size, background, where, exists, what, who, ..."""
    query = normalise_query(query)
    for kind, pattern in _KINDS:
        if pattern.search(query):
            return kind
    match = re.match(r"[a-z]+", query)
    first = match.group() if match else ""
    if first in _FIRST_WORDS:
        return first
    return "yes_no" if first in _YES_NO_WORDS else "other"


_ROOM_RELATIONS = re.compile(
    r"\b(left|right|front|behind|above|below|beneath|underneath|under|over|between|beside|besides|next|near|nearby|"
    r"close|closest|nearest|adjacent|around|top|bottom|middle|center|centre|corner|opposite|side|sides|back|"
    r"attached|against|along|towards|background|foreground)\b"
)


def room_question_kind(query: str) -> str:
    """Tell the kind of a question about a room: count, colour, relation (of places), or object."""
    query = normalise_query(query)
    if re.search(r"^how m[a-z]+\b|\bnumber of\b", query):
        return "count"
    if re.search(r"\bcolou?rs?\b", query) and not re.search(r"\bcolou?r(ed)? (object|thing|item)s?\b", query):
        return "colour"
    return "relation" if _ROOM_RELATIONS.search(query) else "object"


def normalise_answer(text: str) -> str:
    """Lower-case an annotated answer and drop the full stop that Visual Genome's answers end with."""
    return normalise_query(text).rstrip(".").rstrip()


_PLACE_WORDS = re.compile(
    r"\b(left|right|top|bottom|middle|centre|center|front|behind|above|below|next|near|upper|lower|corner|under)\b"
)


def expression_kind(phrase: str) -> str:
    """Tell how a referring expression points at its thing: by place, or by appearance alone."""
    return "place" if _PLACE_WORDS.search(phrase.lower()) else "appearance"
