"""The best pictures of a search in a better order: BLIP-2's matching head looks at each with the text."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workflow_scripts.search.index import Hit
from workflow_scripts.search.originals import Originals

if TYPE_CHECKING:
    from workflow_scripts.models.feature_extractor import FeatureExtractor

_PICTURES_AT_ONCE = 16


def rerank(extractor: "FeatureExtractor", originals: Originals, text: str, hits: Sequence[Hit]) -> list[Hit]:
    """Hits ordered by matching (ITM) plus contrastive (ITC) score, as LAVIS evaluates retrieval (Li et al. 2023)."""
    import torch

    scores: list[float] = []
    for start in range(0, len(hits), _PICTURES_AT_ONCE):
        part = hits[start : start + _PICTURES_AT_ONCE]
        pixels = torch.stack([extractor.transform(originals.open(hit.row)) for hit in part])
        scores += extractor.itm_logits(pixels, [text] * len(part)).tolist()
    better = [dataclasses.replace(hit, score=hit.score + itm) for hit, itm in zip(hits, scores, strict=True)]
    better.sort(key=lambda hit: (-hit.score, hit.rank))
    return [dataclasses.replace(hit, rank=rank) for rank, hit in enumerate(better, start=1)]
