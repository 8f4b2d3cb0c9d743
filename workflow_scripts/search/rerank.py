"""The best pictures of a search in a better order: BLIP-2's matching head looks at each with the text."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflow_scripts.files.images import ImageError
from workflow_scripts.search.index import Hit
from workflow_scripts.search.originals import Originals

if TYPE_CHECKING:
    from workflow_scripts.models.feature_extractor import FeatureExtractor

log = logging.getLogger(__name__)

_PICTURES_AT_ONCE = 16


def rerank(extractor: "FeatureExtractor", originals: Originals, text: str, hits: Sequence[Hit]) -> list[Hit]:
    """Hits ordered by matching (ITM) plus contrastive (ITC) score, as LAVIS evaluates retrieval (Li et al. 2023).

    A picture that cannot be opened any more comes last, with the score that it had.
    """
    import torch

    scores: list[float] = []
    opened: list[tuple[Hit, torch.Tensor]] = []
    last: list[Hit] = []
    for hit in hits:
        try:
            opened.append((hit, extractor.transform(originals.open(hit.row))))
        except ImageError as error:  # one that is gone or damaged since does not end the search
            if len(last) == len(hits) - 1:
                raise
            log.warning("not reordered, and so put last: %s", error)
            last.append(hit)
    for start in range(0, len(opened), _PICTURES_AT_ONCE):
        part = opened[start : start + _PICTURES_AT_ONCE]
        pixels = torch.stack([picture for _, picture in part])
        scores += extractor.itm_logits(pixels, [text] * len(part)).tolist()
    hits = [hit for hit, _ in opened]
    better = [dataclasses.replace(hit, score=hit.score + itm) for hit, itm in zip(hits, scores, strict=True)]
    better.sort(key=lambda hit: (-hit.score, hit.rank))
    return [dataclasses.replace(hit, rank=rank) for rank, hit in enumerate([*better, *last], start=1)]
