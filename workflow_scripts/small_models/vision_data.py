"""The vision corpus as the small models read it: pictures in memory-mapped form, texts, vocabulary and batches."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workflow_scripts.given_files import lines_of

# OpenAI CLIP's statistics, which LAVIS's transforms use for BLIP-2 too.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class VisionCorpus:
    """Pictures [N, H, W, 3] uint8 and one record of texts a picture."""

    images: np.ndarray
    records: list[dict]

    def indices(self, split: str) -> list[int]:
        """The pictures of a split."""
        return [i for i, record in enumerate(self.records) if record["split"] == split]

    def pixels(self, indices: Sequence[int]) -> Tensor:
        """Normalised pictures, [B, 3, H, W] float32."""
        order = np.asarray(indices)
        pictures = torch.from_numpy(np.ascontiguousarray(self.images[order].transpose(0, 3, 1, 2))).float()
        mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
        return pictures.div_(255).sub_(mean).div_(std)

    def phrases(self, index: int) -> list[str]:
        """What is said of single parts of a picture; its captions where nothing finer is known."""
        return self.records[index].get("phrases") or self.records[index]["captions"]


def read_vision_corpus(folder: Path) -> VisionCorpus:
    """Open a corpus folder; raises ValueError where pictures and texts are missing or do not belong together."""
    folder = Path(folder)
    try:
        images = np.load(folder / "images.npy", mmap_mode="r")
        text = (folder / "captions.jsonl").read_text(encoding="utf-8")
        records = [json.loads(line) for _, line in lines_of(text)]
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f"{folder} is not a whole vision corpus ({error}); run the rule that writes it.") from None
    if len(images) != len(records):
        raise ValueError(
            f"{folder} holds {len(images)} pictures but {len(records)} lines of captions; run the rule that writes it."
        )
    if not any(record["split"] == "train" for record in records):
        raise ValueError(f"{folder} holds no picture of the training split; run the rule that writes it.")
    return VisionCorpus(images, records)


def words(text: str) -> list[str]:
    """Lower-case words and punctuation marks, as BERT's tokenizer splits them."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def vocabulary(texts: Sequence[str], special: Sequence[str]) -> list[str]:
    """BERT vocabulary: the special tokens, then every word of the texts in alphabetical order."""
    return [*special, *sorted({word for text in texts for word in words(text)})]


def batches(corpus: VisionCorpus, indices: Sequence[int], size: int, grouped: float, seed: int) -> Iterator[list[int]]:
    """Endless batches of pictures, a share `grouped` of them made of whole groups of hard negatives."""
    rng = random.Random(seed)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in indices:
        if (group := corpus.records[index].get("group")) is not None:
            groups[group].append(index)
    members = list(groups.values())
    while True:
        if members and rng.random() < grouped:
            yield _take_groups(members, size, rng)
        else:
            yield rng.sample(indices, min(size, len(indices)))


def _take_groups(groups: list[list[int]], size: int, rng: random.Random) -> list[int]:
    batch: list[int] = []
    for group in rng.sample(groups, min(len(groups), size)):
        batch += group
        if len(batch) >= size:
            break
    return batch[:size]
