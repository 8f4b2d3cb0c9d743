"""Wu-Palmer similarity of nouns, from the dictionary files of WordNet 3 (Debian: package wordnet-base).

The similarity is that of NLTK, with which the figures in the literature were made: twice the depth of the deepest
common hypernym over the sum of the depths of both nouns through it, the root having depth 1.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_FILES = ("index.noun", "data.noun", "noun.exc")
_HYPERNYMS = ("@", "@i")  # of kinds, and of single things
_ENDINGS = (
    ("s", ""),
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)


def find_wordnet(folder: Path | None = None) -> Path | None:
    """The folder of WordNet's files: the given one, WordNet's own environment variables, or the usual places."""
    places = [folder] if folder else _usual_places()
    return next((place for place in places if all((place / name).exists() for name in _FILES)), None)


def _usual_places() -> list[Path]:
    named = [Path(os.environ["WNSEARCHDIR"])] if os.environ.get("WNSEARCHDIR") else []
    named += [Path(os.environ["WNHOME"]) / "dict"] if os.environ.get("WNHOME") else []
    return [*named, *map(Path, ("/usr/share/wordnet", "/usr/local/WordNet-3.0/dict", "/opt/homebrew/opt/wordnet/dict"))]


@dataclass
class WordNet:
    """The nouns of WordNet: their senses, as offsets into data.noun, and the hypernyms of each."""

    senses: Mapping[str, list[int]]
    hypernyms: Mapping[int, list[int]]
    first_words: Mapping[int, str]
    exceptions: Mapping[str, list[str]]
    _distances: dict[int, dict[int, int]] = field(default_factory=dict)
    _depths: dict[int, tuple[int, int]] = field(default_factory=dict)
    _similarities: dict[tuple[str, str], float] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "WordNet":
        """Read the three files of the nouns; a damaged one is a ValueError that names the folder."""
        senses: dict[str, list[int]] = {}
        hypernyms: dict[int, list[int]] = {}
        first_words: dict[int, str] = {}
        try:
            for parts in _lines(folder / "index.noun"):
                # lemma, part of speech, number of senses, number of pointer kinds, the kinds, two counts, the senses
                senses[parts[0]] = [int(offset) for offset in parts[6 + int(parts[3]) :]]
            for parts in _lines(folder / "data.noun"):
                # offset, file, part of speech, number of words, the words with ids, number of pointers, the pointers
                offset, words = int(parts[0]), int(parts[3], 16)
                pointers = parts[5 + 2 * words : 5 + 2 * words + 4 * int(parts[4 + 2 * words])]
                pairs = zip(pointers[::4], pointers[1::4], strict=True)
                hypernyms[offset] = [int(other) for kind, other in pairs if kind in _HYPERNYMS]
                first_words[offset] = parts[4].lower()
            exceptions = {parts[0]: parts[1:] for parts in _lines(folder / "noun.exc")}
        except (ValueError, IndexError) as error:
            raise ValueError(f"{folder} does not hold WordNet's files as they should be ({error}).") from error
        return cls(senses, hypernyms, first_words, exceptions)

    def synsets(self, noun: str) -> list[int]:
        """The senses of a noun, of its singular where it is a plural; none where WordNet does not know it."""
        return [offset for form in self._base_forms(noun) for offset in self.senses[form]]

    def similarity(self, one: str, other: str) -> float:
        """The greatest Wu-Palmer similarity of any senses of two nouns, 0 where either is unknown."""
        pair = (one, other) if one <= other else (other, one)
        if pair not in self._similarities:
            senses = [self.synsets(noun) for noun in pair]
            self._similarities[pair] = max((self.wu_palmer(a, b) for a in senses[0] for b in senses[1]), default=0.0)
        return self._similarities[pair]

    def wu_palmer(self, one: int, other: int) -> float:
        """Wu-Palmer similarity of two senses."""
        ours, theirs = self._ancestors(one), self._ancestors(other)
        common = ours.keys() & theirs.keys()
        if not common:
            return 0.0
        deepest = max(self._depth(sense)[0] for sense in common)
        lowest = [sense for sense in common if self._depth(sense)[0] == deepest]
        subsumer = one if one in lowest else min(lowest, key=self._name)
        depth = self._depth(subsumer)[1] + 1
        return 2 * depth / (2 * depth + self._distance(one, subsumer) + self._distance(other, subsumer))

    def _base_forms(self, noun: str) -> list[str]:
        if noun in self.exceptions:
            return self._known([noun, *self.exceptions[noun]])
        forms = _without_endings([noun])
        known = self._known([noun, *forms])
        while not known and forms:
            forms = _without_endings(forms)
            known = self._known(forms)
        return known

    def _known(self, forms: Iterable[str]) -> list[str]:
        return [form for form in dict.fromkeys(forms) if form in self.senses]

    def _ancestors(self, sense: int) -> dict[int, int]:
        """A sense and all above it, with the shortest way up to each."""
        if sense not in self._distances:
            distances = {sense: 0}
            for parent in self.hypernyms[sense]:
                for above, distance in self._ancestors(parent).items():
                    distances[above] = min(distances.get(above, distance + 1), distance + 1)
            self._distances[sense] = distances
        return self._distances[sense]

    def _distance(self, one: int, other: int) -> int:
        ours, theirs = self._ancestors(one), self._ancestors(other)
        return min(ours[sense] + theirs[sense] for sense in ours.keys() & theirs.keys())

    def _depth(self, sense: int) -> tuple[int, int]:
        """Length of the shortest and of the longest way up from a sense."""
        if sense not in self._depths:
            above = [self._depth(parent) for parent in self.hypernyms[sense]]
            shortest, longest = (1 + min(a for a, _ in above), 1 + max(b for _, b in above)) if above else (0, 0)
            self._depths[sense] = shortest, longest
        return self._depths[sense]

    @cached_property
    def _numbers(self) -> dict[tuple[str, int], int]:
        return {(word, offset): n for word, offsets in self.senses.items() for n, offset in enumerate(offsets, start=1)}

    def _name(self, sense: int) -> str:
        """A sense as NLTK names it, which decides between hypernyms of equal depth."""
        word = self.first_words[sense]
        return f"{word}.n.{self._numbers.get((word, sense), 0):02d}"


def _without_endings(forms: Iterable[str]) -> list[str]:
    return [form[: -len(old)] + new for form in forms for old, new in _ENDINGS if form.endswith(old)]


def _lines(path: Path) -> Iterable[list[str]]:
    """The lines of a file as words, without the licence on top and the explanations behind a bar."""
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            if line.strip() and not line.startswith("  "):
                yield line.partition("|")[0].split()
