"""Captions as words, for CIDEr and BLEU: what pycocoevalcap's PTBTokenizer does, without its Java.

The rules are those of the Penn Treebank, as far as captions have any use for them: lower case; clitics are words of
their own ("the dog's" - the dog 's; "don't" - do n't; "cannot" - can not); a mark at the edge of a word stands apart
from it, and a number or a word keeps the marks inside it ("1,000", "10:30", "t-shirt"). Then the words of
pycocoevalcap's list of punctuation go. As there, brackets stay, as "-lrb-" and "-rrb-": its list names them in upper
case, after all has become lower case. What is left as a difference is abbreviations, of which fewer are known here: 3
of Flickr8k's 35,455 captions are split otherwise than there.
"""

import re
import unicodedata
from functools import lru_cache

# Those of pycocoevalcap that this tokenisation can give; its list has the Treebank's quotation marks as well.
PUNCTUATION = frozenset(("'", "''", "`", "``", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "--", "—": "--", "…": "..."})
_TWO_WORDS = re.compile(r"\b(can)(not)\b|\b(gon|wan)(na)\b|\b(got)(ta)\b|\b(gim|lem)(me)\b")
_ABBREVIATIONS = frozenset(
    ("mr.", "mrs.", "ms.", "dr.", "jr.", "sr.", "st.", "vs.", "etc.", "inc.", "co.", "no.", "ft.")
)
_TOKEN = re.compile(
    r"""
    (?:[^\W\d_]\.){2,}              # letters with a full stop each: u.s.
    | \d+(?:[.,:]\d+)+\w*           # 1,000 and 10:30
    | [^\W_]+(?=n't\b)              # do n't
    | n't\b | '(?:s|m|d|re|ve|ll)\b # clitics
    | o'[^\W_]+ | '\d+s\b | 'n'      # o'clock, '80s, slip 'n' slide
    | [^\W_](?:[\w/-]|\.(?=\w))*(?<![/-]) # words, with the hyphens, slashes and full stops inside them
    | \.\.\. | -- | '' | `` | [?!]{2,}
    | \S
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=1 << 17)
def tokenise(caption: str) -> str:
    """The caption's words, joined by single spaces."""
    text = unicodedata.normalize("NFKC", caption.translate(_QUOTES)).lower()
    text = _TWO_WORDS.sub(lambda match: " ".join(part for part in match.groups() if part), text)
    words = []
    for chunk in text.split():
        tokens = [chunk] if chunk in _ABBREVIATIONS else _TOKEN.findall(chunk)
        words += [_BRACKETS.get(token, token) for token in tokens if token not in PUNCTUATION and token != '"']
    return " ".join(words)
