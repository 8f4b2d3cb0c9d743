"""The files of a retrieval benchmark: a similarity array, and which caption is of which image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import read_json
from workflow_scripts.evaluation.predictions import check_unique


def read_similarity(path: Path, captions: int, images: int) -> np.ndarray:
    """Memory-mapped similarity [captions, images]; another shape is an error."""
    try:
        similarity = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; run workflow_scripts.evaluation.rank_images first.") from None
    except ValueError as error:
        raise ValueError(f"{path} is not a NumPy array ({error}); delete it and run its rule again.") from error
    if similarity.dtype.kind not in "fiu":
        raise ValueError(f"{path} holds {similarity.dtype} and no real numbers; save the similarities as floats.")
    if similarity.shape != (captions, images):
        raise ValueError(
            f"{path} has the shape {similarity.shape}, but there are {captions} captions and {images} images."
        )
    return similarity


def read_captions(path: Path) -> tuple[list[str], np.ndarray, list[list[int]] | None]:
    """The images [I], the image's position of each caption [C] and, where there are any, the group of each caption."""
    content = read_json(path)
    if not isinstance(content, Mapping) or not content.get("images"):
        raise ValueError(f'{path} must hold a non-empty list "images" beside its captions; run rank_images again.')
    if "annotations" in content:
        return *_read_coco(content, path), None
    if not content.get("captions"):
        raise ValueError(f'{path} must hold non-empty lists "captions" and "images"; run rank_images again.')
    ids, captions = content["images"], content["captions"]
    if not all(isinstance(caption, Mapping) and isinstance(caption.get("image_index"), int) for caption in captions):
        raise ValueError(f'The captions of {path} must each have an "image_index"; run rank_images again.')
    image_index = np.array([caption["image_index"] for caption in captions])
    if image_index.min() < 0 or image_index.max() >= len(ids):
        raise ValueError(f"{path} points to an image that is not in its list of {len(ids)}; run rank_images again.")
    grouped = [bool(caption.get("group")) for caption in captions]
    if any(grouped) and not all(grouped):
        raise ValueError(f"{path} has captions with and without a group; score them apart.")
    return ids, image_index, [caption["group"] for caption in captions] if all(grouped) else None


def _read_coco(content: Mapping[str, Any], path: Path) -> tuple[list[str], np.ndarray]:
    for key, id in (("images", "id"), ("annotations", "image_id")):
        if not all(isinstance(row, Mapping) and id in row for row in content[key]):
            raise ValueError(f'"{key}" of {path} must be a list of {{"{id}"}}; it is no captions file of COCO.')
    ids = [str(image["id"]) for image in content["images"]]
    check_unique(ids, path)
    position = {image: index for index, image in enumerate(ids)}
    named = [str(caption["image_id"]) for caption in content["annotations"]]
    unknown = [image for image in named if image not in position]
    if unknown or not named:
        raise ValueError(
            f"{path} has {len(unknown)} captions of images that are not in its list, {unknown[0]} among them."
            if unknown
            else f"{path} holds no caption."
        )
    return ids, np.array([position[image] for image in named])


def read_texts(path: Path) -> list[str]:
    """The captions [C] themselves, in the order of the similarity's rows."""
    content = read_json(path)
    if "annotations" in content:
        return [row["caption"] for row in content["annotations"]]
    return [row["text"] for row in content["captions"]]
