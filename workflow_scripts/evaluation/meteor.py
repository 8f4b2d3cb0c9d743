"""METEOR 1.5 of captions by the Java program that pycocoevalcap carries; without Java there is a reason in its place.

The program counts, for each caption, what matches its nearest reference; the score is made of these counts, of one
caption's or, as the public scorer does for a whole corpus, of their sums (Denkowski and Lavie 2014). Made of sums here,
it needs no second call of the program for each sample of the bootstrap.
"""

import shutil
import subprocess
from collections.abc import Sequence
from importlib import resources

import numpy as np

ARGUMENTS = ("-jar", "-Xmx2G", "meteor-1.5.jar", "-", "-", "-stdio", "-l", "en", "-norm")
NO_JAVA = "METEOR was not computed: its public program needs Java, and there is no `java` on the PATH."
# The program's own parameters for English.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
STAGE_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
COUNTS = 23
# Columns of the counts: words and function words of caption and reference, four numbers a stage, chunks, matches.
_WORDS, _REFERENCE_WORDS, _FUNCTION, _REFERENCE_FUNCTION, _CHUNKS, _MATCHES, _REFERENCE_MATCHES = 0, 1, 2, 3, 20, 21, 22


class NoMeteorError(Exception):
    """Why there is no METEOR, as a sentence for the report."""


def meteor_counts(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """What METEOR adds up for each of N captions [N, 23], given as words joined by spaces.

    NoMeteorError where there is no Java, or where it fails.
    """
    java = shutil.which("java")
    if java is None:
        raise NoMeteorError(NO_JAVA)
    lines = [_score_line(*one) for one in zip(predictions, references, strict=True)]
    folder = resources.files("pycocoevalcap") / "meteor"
    # What is no character, as half of a pair of surrogates, becomes a question mark.
    asked = "".join(lines).encode(errors="replace")
    done = subprocess.run([java, *ARGUMENTS], cwd=str(folder), input=asked, capture_output=True)
    rows = [line.split() for line in done.stdout.decode(errors="replace").splitlines()]
    if done.returncode or len(rows) != len(lines) or any(len(row) != COUNTS for row in rows):
        said = (done.stderr.decode(errors="replace").strip() or "nothing").splitlines()[-1]
        raise NoMeteorError(f"METEOR was not computed: its Java program failed and said: {said}")
    counts = np.array(rows, dtype=float)
    # A caption that is its reference has no fragments.
    same = (counts[:, _MATCHES] == counts[:, _WORDS]) & (counts[:, _REFERENCE_MATCHES] == counts[:, _REFERENCE_WORDS])
    counts[same & (counts[:, _CHUNKS] == 1), _CHUNKS] = 0
    return counts


def meteor(counts: np.ndarray) -> np.ndarray:
    """METEOR [...] of counts [..., 23] of one caption or summed over several; 0 where nothing matches."""
    stages = counts[..., 4:_CHUNKS].reshape(*counts.shape[:-1], len(STAGE_WEIGHTS), 4)
    matched = ((DELTA * stages[..., :2] + (1 - DELTA) * stages[..., 2:]) * STAGE_WEIGHTS[:, None]).sum(axis=-2)
    precision = _share(matched[..., 0], counts[..., _WORDS], counts[..., _FUNCTION])
    recall = _share(matched[..., 1], counts[..., _REFERENCE_WORDS], counts[..., _REFERENCE_FUNCTION])
    found = (precision > 0) & (recall > 0)
    precision, recall = np.where(found, precision, 1), np.where(found, recall, 1)
    mean = 1 / ((1 - ALPHA) / precision + ALPHA / recall)
    matches = (counts[..., _MATCHES] + counts[..., _REFERENCE_MATCHES]) / 2
    penalty = GAMMA * (counts[..., _CHUNKS] / np.where(found, matches, 1)) ** BETA
    return np.where(found, mean * (1 - penalty), 0.0)


def _share(matched: np.ndarray, words: np.ndarray, function_words: np.ndarray) -> np.ndarray:
    weighted = DELTA * (words - function_words) + (1 - DELTA) * function_words
    return matched / np.where(weighted > 0, weighted, 1)


def _score_line(prediction: str, references: Sequence[str]) -> str:
    """The program reads a line for each caption: what ends a line for any reader becomes a blank in it."""
    parts = [" ".join(part.replace("|||", " ").split()) for part in (*references, prediction)]
    return " ||| ".join(["SCORE", *parts]) + "\n"
