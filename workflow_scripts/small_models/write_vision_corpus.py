"""The vision corpus from pretraining pairs: what the small models learn from where there is no miniature world.

Folder: images.npy (uint8 [N, H, W, 3], memory-mapped by readers), captions.jsonl (line i: {"split", "captions"} of
picture i) and manifest.json, written last.
"""

import argparse
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet
from PIL import Image

from workflow_scripts.command_line import progress, run_command, write_atomically, write_json
from workflow_scripts.data.shards import ImageSet, iterate_images
from workflow_scripts.identity import sha256_of_file

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


def write_vision_corpus(pairs: Path, image_sets: Sequence[Path], image_size: int, folder: Path) -> None:
    """Write every picture that has captions, squared to `image_size` by bicubic interpolation, with its captions."""
    captions = read_captions(pairs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    shape = (len(captions), image_size, image_size, 3)
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    lines = []
    for path in image_sets:
        image_set = ImageSet.open(path)
        for key, picture, _ in progress(iterate_images(path), None, f"pictures of {image_set.name}"):
            image = image_set.key(key)
            if image in captions:
                images[len(lines)] = np.asarray(picture.resize((image_size, image_size), Image.Resampling.BICUBIC))
                lines.append(json.dumps({"split": split_of(image), "captions": captions[image]}, ensure_ascii=False))
    images.flush()
    if len(lines) != len(captions):
        raise ValueError(
            f"{len(captions) - len(lines)} of the {len(captions)} pictures of {pairs} are in none of the image sets "
            f"{', '.join(map(str, image_sets))}; make the pairs from the same image sets."
        )
    write_atomically(folder / "captions.jsonl", "\n".join(lines) + "\n")
    files = {name: sha256_of_file(folder / name) for name in ("images.npy", "captions.jsonl")}
    write_json(folder / "manifest.json", {"count": len(lines), "sha256": files})


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="samples.parquet of the filtered pairs")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of their image sets")
    parser.add_argument("--image-size", type=int, required=True, help="side of the pictures in pixels")
    parser.add_argument("--output", type=Path, required=True, help="folder of the corpus")
    arguments = parser.parse_args(argv)
    write_vision_corpus(arguments.pairs, arguments.images, arguments.image_size, arguments.output)


if __name__ == "__main__":
    run_command(main)
