"""Words to their base forms by rule, for the lemmatised column of VQA accuracy.

Papers on OK-VQA lemmatise the model's answers; LAVIS does it with spaCy's `en_core_web_sm`, which takes nouns and verbs
to their lemmas by their part of speech. That model is not part of the environment, and a part of speech means little in
an answer of one word. The rules here need neither: irregular forms from a list, plurals by the detachment rules of
WordNet's morphy, "-ing" and "-ed" by step 1b of Porter (1980), with his conditions for restoring an "e". They are for
both sides of a comparison, so that a form that no dictionary has ("danc") does no harm where both sides get it. Figures
by them are near those by spaCy, but are not those.
"""

import re
from functools import lru_cache

_IRREGULAR = """
men=man women=woman children=child people=person feet=foot teeth=tooth geese=goose mice=mouse oxen=ox dice=die
knives=knife wives=wife lives=life leaves=leaf wolves=wolf shelves=shelf loaves=loaf scarves=scarf halves=half
calves=calf thieves=thief hooves=hoof shoes=shoe canoes=canoe toes=toe tiptoes=tiptoe cookies=cookie movies=movie
zombies=zombie smoothies=smoothie hoodies=hoodie selfies=selfie brownies=brownie pies=pie ties=tie lies=lie dies=die
buses=bus gases=gas lenses=lens clothes=clothes lying=lie lied=lie dying=die died=die tying=tie tied=tie using=use
used=use ate=eat eaten=eat began=begin bent=bend bit=bite bitten=bite blew=blow blown=blow broke=break broken=break
brought=bring built=build bought=buy caught=catch came=come did=do done=do drew=draw drawn=draw drank=drink
drove=drive driven=drive fell=fall fallen=fall fed=feed flew=fly flown=fly froze=freeze frozen=freeze gave=give
given=give gone=go went=go grew=grow grown=grow held=hold hung=hang kept=keep knew=know known=know made=make met=meet
rode=ride ridden=ride ran=run said=say sang=sing sat=sit seen=see shone=shine slept=sleep slid=slide sold=sell
spoke=speak spoken=speak stood=stand stole=steal stolen=steal swam=swim taken=take took=take taught=teach threw=throw
thrown=throw told=tell won=win wore=wear worn=wear wrote=write written=write
"""
_FORMS = dict(pair.split("=") for pair in _IRREGULAR.split())
# Words that only look inflected.
_UNINFLECTED = """
anything awning bus ceiling christmas clothing during earring evening everything gas glasses hundred lens morning
naked news nothing pants pudding scissors series shorts something species stairs tennis this united wedding
yes his hers its is was has does
"""
_WHOLE = frozenset(_UNINFLECTED.split())
_DOUBLED = re.compile(r"([^aeiouylsz])\1$")
_SHORT = re.compile(r"^[^aeiou]*[aeiouy][^aeiouywx]$")  # Porter's *o and m = 1: restores the "e" of "riding"
_TAKES_E = re.compile(r"(?:(?<![aeiou])at|[bdfgkptz]l|iz|is|v|c|u|[aeiou]rg|dg|[aeiou][^aeiou]*[ai]g)$")


@lru_cache(maxsize=1 << 16)
def lemmatise(text: str) -> str:
    """The words of a normalised answer in their base forms."""
    return " ".join(_lemma(word) for word in text.split())


def _lemma(word: str) -> str:
    if word in _FORMS:
        return _FORMS[word]
    if word in _WHOLE or len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("s"):
        return _singular(word)
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1 and re.search("[aeiouy]", stem) and not word.endswith("eed"):
            return _restored(stem)
    return word


def _singular(word: str) -> str:
    if word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes", "oes")):
        return word[:-2]
    return word[:-1]


def _restored(stem: str) -> str:
    """A verb's stem without the doubled consonant, or with the "e", that its ending took."""
    if _DOUBLED.search(stem):
        return stem[:-1]
    if stem.endswith("i") and len(stem) > 3:  # "carried"; "skiing" keeps its "i"
        return stem[:-1] + "y"
    return stem + "e" if _TAKES_E.search(stem) or _SHORT.search(stem) else stem
