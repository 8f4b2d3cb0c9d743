"""Answers made comparable: one normalisation for exact match, and the official one of VQA v2 and OK-VQA.

Exact match follows the SQuAD 1.1 evaluation (Rajpurkar et al. 2016, `normalize_answer`): lower case, no punctuation,
no articles, single spaces. It is widened from ASCII to Unicode (NFKC, every character of category P), so that answers
in other scripts are treated alike; on ASCII text the two are equal.

The VQA functions follow `vqaEval.py` of the VQA v2 release (Antol et al. 2015; Goyal et al. 2017), which OK-VQA uses
unchanged. Its oddities decide scores, so that they are kept and named where they stand.
"""

import re
import string
import sys
import unicodedata
from functools import lru_cache

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_REMOVED = {ord(c): None for c in string.punctuation} | {
    code: None for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith("P")
}


@lru_cache(maxsize=1 << 16)
def normalise_for_exact_match(text: str) -> str:
    """Lower case, without punctuation, articles and surplus spaces.

    An answer of nothing else ("the", "?") keeps its characters, since two different ones must not become equal.
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).lower().split())
    words = _ARTICLES.sub(" ", plain.translate(_REMOVED)).split()
    return " ".join(words) if words else plain


def contains_answer(prediction: str, answer: str) -> bool:
    """Whether the answer's words stand in the prediction, whole and in their order, after normalisation."""
    wanted = normalise_for_exact_match(answer)
    return bool(wanted) and f" {wanted} " in f" {normalise_for_exact_match(prediction)} "


_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
# "(?!<=\d)" was meant as the look-behind "(?<!\d)". As it stands it looks ahead for the characters "<=" and a digit,
# which a full stop never is, so that "5." loses its full stop and "5.2" keeps it by the second condition alone.
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
_COMMA_IN_NUMBER = re.compile(r"(\d)(,)(\d)")
_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(value) for value, word in enumerate(_NUMBER_WORDS)} | {"none": "0"}
_VQA_ARTICLES = frozenset(("a", "an", "the"))


def strip_vqa_answer(text: str) -> str:
    """What the official evaluation does to every answer, unanimous or not: newlines and tabs to spaces, stripped."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def process_vqa_punctuation(text: str) -> str:
    """`processPunctuation` of the official evaluation.

    A mark vanishes where a space stands beside any one of its occurrences, or where a number holds a comma; else it
    becomes a space. `re.sub` gets `re.UNICODE` in the place of its count, so that only the first 32 full stops go.
    """
    comma_in_number = _COMMA_IN_NUMBER.search(text) is not None
    result = text
    for mark in _PUNCTUATION:
        if mark in text:
            beside_space = f"{mark} " in text or f" {mark}" in text
            result = result.replace(mark, "" if beside_space or comma_in_number else " ")
    return _PERIOD.sub("", result, count=int(re.UNICODE))


def process_vqa_digits_and_articles(text: str) -> str:
    """`processDigitArticle` of the official evaluation: number words to digits, no articles, apostrophes restored."""
    words = (_NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _VQA_ARTICLES)


@lru_cache(maxsize=1 << 16)
def normalise_vqa_answer(text: str) -> str:
    """Both official steps in the official order."""
    return process_vqa_digits_and_articles(process_vqa_punctuation(text))


# The official table pairs a form without its apostrophe with the form that has it. Most are regular: the right-hand
# side without its first apostrophe. The pairs that are not, wrong ones among them, follow as they stand there.
_REGULAR = """
ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd how'd how'll how's isn't
it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock oughtn't shan't should've
shouldn't somebody'll somebody's someone'd someone'll someone's something'd something'll that's there'd there're
there's they'd they'll they're they've 'twas wasn't we've weren't what'll what're what's what've when's
where'd where's where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all
you'd you'll you're you've
"""
_IRREGULAR = """
couldn'tve=couldn't've couldnt've=couldn't've hadnt've=hadn't've hadn'tve=hadn't've hed've=he'd've he'dve=he'd've
hes=he's itd've=it'd've it'dve=it'd've let's=let's mightnt've=mightn't've mightn'tve=mightn't've ow's'at='ow's'at
'ows'at='ow's'at 'ow'sat='ow's'at shed've=she'd've she'dve=she'd've she's=she's shouldnt've=shouldn't've
shouldn'tve=shouldn't've somebody'd=somebodyd somebodyd've=somebody'd've somebody'dve=somebody'd've
someoned've=someone'd've someone'dve=someone'd've somethingd've=something'd've something'dve=something'd've
thered've=there'd've there'dve=there'd've theyd've=they'd've they'dve=they'd've wed've=we'd've we'dve=we'd've
whod've=who'd've who'dve=who'd've wouldnt've=wouldn't've wouldn'tve=wouldn't've yall'll=y'all'll y'allll=y'all'll
yall'd've=y'all'd've y'alld've=y'all'd've y'all'dve=y'all'd've youd've=you'd've you'dve=you'd've
"""
_CONTRACTIONS = {word.replace("'", "", 1): word for word in _REGULAR.split()} | dict(
    pair.split("=") for pair in _IRREGULAR.split()
)
