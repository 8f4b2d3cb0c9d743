"""Score retrieval in both directions: recall at 1, 5 and 10, or at 1 within groups of alike pictures.

The similarity is a NumPy array [captions, images]. The captions are COCO's JSON (rows in the order of "annotations",
columns in that of "images"), or the captions.json of rank_images.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import run_command
from workflow_scripts.evaluation.retrieval_files import read_captions, read_similarity
from workflow_scripts.evaluation.scores import (
    add_common_arguments,
    figure,
    median_figure,
    per_question,
    write_scores,
)

DEFINITION = (
    "Recall at k of text-to-image retrieval: share of the captions whose image is among the k most similar, an image "
    "as similar as the right one ranking before it (ties against us). {headline} `image_to_text`: share of the images "
    "one of whose captions is among the k most similar of all captions; under `first_caption`, of the first captions "
    "of all images. `median_rank`: median of the ranks from 1. "
    "`colour_matched`: rank among the images of the caption's own group only. Intervals: bootstrap over images."
)
HEADLINES = {
    "first_caption": "One caption an image asks, the first; under `all_captions`, every caption.",
    "all_captions": "Every caption asks; under `first_caption`, the first of each image only.",
}
"""Which captions the plain figures are of, and what the definition says of it."""
RANKS = (1, 5, 10)
_ROWS_AT_ONCE = 512


def ranks_of_images(similarity: np.ndarray, image_index: np.ndarray) -> np.ndarray:
    """Rank [C] of each caption's own image in similarity [C, I], 0 the best, ties against us; NaN is an error."""
    ranks = np.empty(len(similarity), dtype=np.int64)
    for start in range(0, len(similarity), _ROWS_AT_ONCE):
        block = _block(similarity, start)
        own = np.take_along_axis(block, image_index[start : start + len(block), None], axis=1)
        ranks[start : start + len(block)] = (block >= own).sum(axis=1) - 1
    return ranks


def _block(similarity: np.ndarray, start: int) -> np.ndarray:
    """Some rows of a memory-mapped similarity; NaN in them is an error."""
    block = np.asarray(similarity[start : start + _ROWS_AT_ONCE])
    _check_numbers(np.isnan(block).any(axis=1), start)
    return block


def _check_numbers(broken: np.ndarray, first: int = 0) -> None:
    if broken.any():
        row = first + int(np.argmax(broken))
        raise ValueError(f"The similarity of caption {row} holds NaN, which has no rank; look at its features.")


def ranks_in_groups(similarity: np.ndarray, image_index: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Rank [C] of each caption's own image among the images of its group."""
    ranks = np.empty(len(groups), dtype=np.int64)
    for row, (own, group) in enumerate(zip(image_index, groups, strict=True)):
        if own not in group:
            raise ValueError(f"The group of caption {row} does not hold the caption's own image.")
        values = np.asarray(similarity[row, list(group)])
        _check_numbers(np.isnan(values).any(keepdims=True), row)
        ranks[row] = (values >= similarity[row, own]).sum() - 1
    return ranks


def ranks_of_captions(similarity: np.ndarray, image_index: np.ndarray) -> np.ndarray:
    """Rank [I] of the best own caption of each image, captions of other images that tie before it."""
    images = similarity.shape[1]
    best = np.full(images, -np.inf)
    own = similarity[np.arange(len(image_index)), image_index]
    _check_numbers(np.isnan(own))
    np.maximum.at(best, image_index, own)
    better = np.zeros(images, dtype=np.int64)
    for start in range(0, len(similarity), _ROWS_AT_ONCE):
        block = _block(similarity, start)
        above = block >= best
        above[np.arange(len(block)), image_index[start : start + len(block)]] = False
        better += above.sum(axis=0)
    return better


def first_captions(image_index: np.ndarray) -> np.ndarray:
    """Positions [I'] of the first caption of each image."""
    return np.sort(np.unique(image_index, return_index=True)[1])


def recall_figures(id: str, ranks: np.ndarray, images: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Recall at 1, 5 and 10 and median rank of ranks [C], 0 the best, as figures; `id` ends in a full stop or so."""
    found = [figure(f"{id}r_at_{k}", (ranks < k).astype(float), images, seed) for k in RANKS]
    return [*found, median_figure(f"{id}median_rank", ranks + 1, images, seed)]


def main(argv: Sequence[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--similarity", type=Path, required=True, help="similarity.npy [captions, images]")
    parser.add_argument("--captions", type=Path, required=True, help="COCO's captions or captions.json")
    parser.add_argument(
        "--image-to-text-similarity",
        type=Path,
        help="the same array for image-to-text, where re-ranking gave each direction its own",
    )
    parser.add_argument(
        "--headline",
        choices=list(HEADLINES),
        default="first_caption",
        help="the captions that the plain figures are of",
    )
    parser.add_argument(
        "--made-of",
        type=Path,
        nargs="*",
        default=[],
        help="manifests and checksums that the similarity was computed from, noted with those of what is read here",
    )
    add_common_arguments(parser, "retrieval")
    arguments = parser.parse_args(argv)

    ids, image_index, groups = read_captions(arguments.captions)
    similarity = read_similarity(arguments.similarity, len(image_index), len(ids))
    images = [ids[index] for index in image_index]
    more: dict[str, Any] = {}
    if groups is not None:
        ranks = ranks_in_groups(similarity, image_index, groups)
        hits = (ranks < 1).astype(float)
        figures = [figure(f"{arguments.id}.colour_matched_r_at_1", hits, images, arguments.seed)]
        more |= per_question(range(len(hits)), hits, images)
        more["group_size"] = float(np.mean([len(group) for group in groups]))
        more["chance"] = round(100 * float(np.mean([1 / len(group) for group in groups])), 2)
    else:
        ranks = ranks_of_images(similarity, image_index)
        first = first_captions(image_index)
        asked = {"first_caption": first, "all_captions": np.arange(len(ranks))}
        headline = asked.pop(arguments.headline)
        shown = ranks[headline]
        figures = recall_figures(f"{arguments.id}.", shown, [images[i] for i in headline], arguments.seed)
        if len(first) < len(ranks):
            for name, rows in asked.items():
                beside = f"{arguments.id}.{name}."
                figures += recall_figures(beside, ranks[rows], [images[i] for i in rows], arguments.seed)
        present = image_index[first]
        backwards = similarity
        if arguments.image_to_text_similarity:
            backwards = read_similarity(arguments.image_to_text_similarity, len(image_index), len(ids))
        shown_images = [ids[i] for i in present]
        back = ranks_of_captions(backwards, image_index)[present]
        figures += recall_figures(f"{arguments.id}.image_to_text_", back, shown_images, arguments.seed)
        if len(first) < len(ranks):
            back = ranks_of_captions(backwards[first], present)[present]
            beside = f"{arguments.id}.first_caption.image_to_text_"
            figures += recall_figures(beside, back, shown_images, arguments.seed)
        more |= per_question(headline, (shown < 1).astype(float), [images[i] for i in headline])
        more["headline"] = arguments.headline
        more["median_rank"] = float(np.median(shown)) + 1
        more["chance"] = round(100 / len(ids), 4)
        more["recall_curve"] = {
            str(k): round(100 * float((shown < k).mean()), 3) for k in range(1, min(50, len(ids)) + 1)
        }
    write_scores(
        arguments,
        "score_retrieval",
        argv,
        definition=DEFINITION.format(headline=HEADLINES[arguments.headline]),
        figures=figures,
        inputs=[
            arguments.similarity,
            arguments.captions,
            *filter(None, [arguments.image_to_text_similarity]),
            *arguments.made_of,
        ],
        images=len(ids),
        breakdown={},
        **more,
    )


if __name__ == "__main__":
    run_command(main)
