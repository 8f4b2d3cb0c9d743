"""Score generated captions against people's: CIDEr-D, BLEU-1 to 4 and, where there is Java, METEOR of pycocoevalcap."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import run_command
from workflow_scripts.evaluation.bootstrap import confidence_interval, resampled_sums
from workflow_scripts.evaluation.caption_tokens import tokenise
from workflow_scripts.evaluation.meteor import NoMeteorError, meteor, meteor_counts
from workflow_scripts.evaluation.predictions import check_unique, match_questions, read_answers
from workflow_scripts.evaluation.scores import add_common_arguments, has_interval, per_question, write_scores
from workflow_scripts.evaluation.unusual_answers import LONG_CAPTION, count_unusual
from workflow_scripts.given_files import read_given_rows

DEFINITION = (
    "CIDEr-D (Vedantam et al. 2015) and BLEU (Papineni et al. 2002; closest reference length) by pycocoevalcap, times "
    "100, on words as the Penn Treebank splits them, in lower case and without punctuation; the tokenisation is our "
    "own, since pycocoevalcap's needs Java. METEOR (1.5, Denkowski and Lavie 2014) is that of the Java program that "
    "pycocoevalcap carries, where there is a Java. CIDEr's document frequencies are those of the references of the "
    "same pictures. Intervals: bootstrap over images, for CIDEr of the mean of the images' scores with the document "
    "frequencies fixed, for BLEU and METEOR of the counts that they are made of."
)
ORDERS = 4
# BleuScorer's own additions, which keep it from dividing by zero.
_TINY, _SMALL = 1e-15, 1e-9


@dataclass(frozen=True)
class Caption:
    """A generated caption of an image and the captions that people wrote, as words joined by spaces."""

    image: str
    prediction: str
    references: tuple[str, ...]


def read_captions(predictions: Path, questions: Path | None = None) -> list[Caption]:
    """Read a predictions file of this workflow, whose `answers` are the references."""
    captions = []
    for row in read_answers(predictions, questions, needs=("image",)):
        references = [text for text in row.get("answers") or [row.get("answer") or ""] if text.strip()]
        if not references:
            raise ValueError(f"Question {row['question_id']} has no caption to compare with; remove it.")
        captions.append(_caption(row["image"], row["prediction"], references))
    check_unique((caption.image for caption in captions), predictions)
    return captions


def read_official(annotations: Path, predictions: Path) -> list[Caption]:
    """Read COCO's files: annotations with "images" and "annotations", results `[{"image_id", "caption"}]`.

    Rows as JSON lines will do in place of each.
    """
    rows = read_given_rows(annotations, fields=("image_id",), key="annotations")
    results = read_given_rows(predictions, fields=("image_id",))
    if not _are_captions(rows):
        raise ValueError(f'{annotations} has no list "annotations" of {{"image_id", "caption"}} with text.')
    if not _are_captions(results):
        raise ValueError(
            f'{predictions} must be a list of {{"image_id", "caption"}}, or such rows as JSON lines, with captions '
            "that are text."
        )
    check_unique((row["image_id"] for row in results), predictions)
    references: dict[str, list[str]] = {}
    for row in rows:
        references.setdefault(str(row["image_id"]), []).append(row["caption"])
    blank = [image for image, texts in references.items() if not any(text.strip() for text in texts)]
    if blank:
        raise ValueError(f"Image {blank[0]} of {annotations} has no caption to compare with; remove it.")
    images = [{"question_id": image} for image in references]
    answered = [{"question_id": row["image_id"], "caption": row["caption"]} for row in results]
    return [
        _caption(
            image["question_id"],
            result["caption"],
            [text for text in references[image["question_id"]] if text.strip()],
        )
        for image, result in match_questions(answered, images, predictions)
    ]


def _are_captions(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and "image_id" in row and isinstance(row.get("caption"), str) for row in rows
    )


def _caption(image: str, prediction: str, references: Sequence[str]) -> Caption:
    return Caption(image, tokenise(prediction), tuple(tokenise(text) for text in references))


def cider(captions: Sequence[Caption]) -> np.ndarray:
    """CIDEr-D [N] of each caption, document frequencies over all of them."""
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    scorer = CiderScorer(n=ORDERS, sigma=6.0)
    for caption in captions:
        scorer += (caption.prediction, list(caption.references))
    return np.asarray(scorer.compute_score()[1], dtype=float)


def without_weight(captions: Sequence[Caption]) -> np.ndarray:
    """Whether all words of the references of each caption [N] are in those of every image, so that they weigh nothing.

    CIDEr weighs words by how few images have them: what all images have, or the only one, it cannot score.
    """
    from pycocoevalcap.cider.cider_scorer import precook

    words = [{gram for text in one.references for gram in precook(text, ORDERS)} for one in captions]
    images = Counter(gram for found in words for gram in found)
    return np.array([all(images[gram] == len(captions) for gram in found) for found in words])


def why_no_cider(captions: Sequence[Caption], weightless: np.ndarray) -> str | None:
    """The reason why CIDEr is not defined for captions whose references weigh nothing [N], or None."""
    if not weightless.all():
        return None
    because = "there is one image" if len(captions) == 1 else "the references of all images are made of the same words"
    return f"CIDEr is not defined: it weighs words by how few of the images have them, and {because}."


def bleu_counts(captions: Sequence[Caption]) -> np.ndarray:
    """What BLEU adds up for each caption [N, 10]: matching and all n-grams of each order, length, reference length."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=ORDERS)
    for caption in captions:
        scorer += (caption.prediction, list(caption.references))
    rows = []
    for one in scorer.ctest:
        closest = min((abs(length - one["testlen"]), length) for length in one["reflen"])[1]
        rows.append([*one["correct"], *one["guess"], one["testlen"], closest])
    return np.array(rows, dtype=float)


def bleu(counts: np.ndarray) -> np.ndarray:
    """BLEU-1 to 4 [..., 4] of summed counts [..., 10]."""
    correct, guess = counts[..., :ORDERS], counts[..., ORDERS : 2 * ORDERS]
    precisions = (correct + _TINY) / (guess + _SMALL)
    scores = np.cumprod(precisions, axis=-1) ** (1 / np.arange(1, ORDERS + 1))
    ratio = (counts[..., -2] + _TINY) / (counts[..., -1] + _SMALL)
    with np.errstate(over="ignore"):
        penalty = np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)
    return scores * penalty[..., None]


def caption_figures(
    captions: Sequence[Caption],
    scores: np.ndarray | None,
    counts_of_meteor: np.ndarray | None,
    id: str,
    seed: int,
) -> list[dict[str, Any]]:
    """CIDEr of the captions' scores [N], BLEU-4 to 1, and METEOR of its counts [N, 23], as figures called `id.cider`
    and so on; what is None is left out, and so is BLEU of longer n-grams than any caption has."""
    images = [caption.image for caption in captions]
    found = []
    if scores is not None:
        found.append(("cider", "points", float(scores.mean()), *confidence_interval(scores, images, seed)))
    counts = bleu_counts(captions)
    corpus, lows, highs = _of_corpus(bleu, counts, images, seed)
    for order in range(longest_order(counts), 0, -1):
        found.append((f"bleu_{order}", "%", *(float(values[order - 1]) for values in (corpus, lows, highs))))
    if counts_of_meteor is not None:
        found.append(("meteor", "%", *map(float, _of_corpus(meteor, counts_of_meteor, images, seed))))
    return [
        {
            "id": f"{id}.{name}",
            "value": round(100 * value, 4),
            "unit": unit,
            "n": len(captions),
            "ci95": [round(100 * low, 4), round(100 * high, 4)] if has_interval(images) else None,
        }
        for name, unit, value, low, high in found
    ]


def longest_order(counts: np.ndarray) -> int:
    """The longest n-grams for which BLEU of counts [N, 10] is defined; captions of no words at all have BLEU 0."""
    guess = counts[:, ORDERS : 2 * ORDERS].sum(axis=0)
    return int(np.count_nonzero(guess)) or ORDERS


def _of_corpus(
    score: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, images: Sequence[str], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A score of summed counts [N, C] over all captions, and the ends of its 95 % interval over images [N]."""
    low, high = np.percentile(score(resampled_sums(counts, images, seed)), [2.5, 97.5], axis=0)
    return score(counts.sum(axis=0)), low, high


def per_image_scores(captions: Sequence[Caption]) -> Mapping[str, float]:
    """CIDEr times 100 of each image's caption, for choosing examples."""
    pairs = zip(captions, cider(captions), strict=True)
    return {caption.image: round(100 * float(score), 2) for caption, score in pairs}


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.jsonl, or COCO's results JSON")
    parser.add_argument("--annotations", type=Path, help="COCO's captions JSON, for results in COCO's form")
    parser.add_argument("--questions", type=Path, help="benchmark table; its images must all have a caption")
    add_common_arguments(parser, "captions")
    arguments = parser.parse_args(argv)
    if arguments.annotations:
        inputs = [arguments.annotations, arguments.predictions]
        captions = read_official(*inputs)
    else:
        inputs = [arguments.predictions, *filter(None, [arguments.questions])]
        captions = read_captions(arguments.predictions, arguments.questions)
    if not captions:
        raise ValueError(f"{arguments.predictions} holds no caption.")
    lengths = [len(caption.prediction.split()) for caption in captions]
    weightless, images = without_weight(captions), [caption.image for caption in captions]
    no_cider = why_no_cider(captions, weightless)
    scores = None if no_cider else cider(captions)
    absent = [no_cider] if no_cider else []
    longest = longest_order(bleu_counts(captions))
    if longest < ORDERS:
        absent.append(f"BLEU-{longest + 1} and longer are not defined: no caption has {longest + 1} words.")
    counts_of_meteor = None
    try:
        counts_of_meteor = meteor_counts(
            [caption.prediction for caption in captions], [caption.references for caption in captions]
        )
    except NoMeteorError as reason:
        absent.append(str(reason))
    write_scores(
        arguments,
        "score_captions",
        argv,
        definition=DEFINITION,
        figures=caption_figures(captions, scores, counts_of_meteor, arguments.id, arguments.seed),
        inputs=inputs,
        breakdown={},
        absent=" ".join(absent) or None,
        mean_words=round(float(np.mean(lengths)), 2),
        different_captions=len({caption.prediction for caption in captions}),
        **({"without_weight": int(weightless.sum())} if weightless.any() else {}),
        **(per_question(images, scores, images) if scores is not None else {}),
        **count_unusual([caption.prediction for caption in captions], LONG_CAPTION),
        references=sum(len(caption.references) for caption in captions),
    )


if __name__ == "__main__":
    run_command(main)
