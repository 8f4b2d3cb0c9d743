"""The captions of a pairs table by picture, and which of its pictures small models are validated on."""

import hashlib
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet

VALIDATION_SHARE = 0.05


def read_captions(pairs: Path) -> dict[str, list[str]]:
    """All captions of each image key of a pairs table, in the table's order."""
    table = pyarrow.parquet.read_table(pairs, columns=["image", "answer"]).to_pydict()
    captions: dict[str, list[str]] = defaultdict(list)
    for image, answer in zip(table["image"], table["answer"], strict=True):
        captions[image].append(answer)
    if not captions:
        raise ValueError(f"{pairs} holds no pairs; the caption filter may have removed them all.")
    return dict(captions)


def split_of(image: str) -> str:
    """`validation` for a twentieth of the images, by a hash of the key, so that it never depends on the others."""
    value = int.from_bytes(hashlib.sha256(image.encode()).digest()[:4], "big") / 2**32
    return "validation" if value < VALIDATION_SHARE else "train"
