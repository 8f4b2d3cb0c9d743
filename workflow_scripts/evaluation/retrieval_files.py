"""The files of a retrieval benchmark: a similarity array, and which caption is of which image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from workflow_scripts.evaluation.predictions import check_unique
from workflow_scripts.given_files import read_given_json


def read_similarity(path: Path, captions: int, images: int) -> np.ndarray:
    """Memory-mapped similarity [captions, images]; another shape is an error."""
    try:
        similarity = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(
            f"{path} does not exist; look at its name, or make it by workflow_scripts.evaluation.rank_images."
        ) from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; name the array in it, similarity.npy.") from None
    except (ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path} is not a NumPy array ({error}); save one by numpy.save.") from error
    if not isinstance(similarity, np.ndarray):
        names = ", ".join(similarity.files)
        similarity.close()
        raise ValueError(
            f"{path} is a .npz archive of arrays ({names}) and not one array; save the similarity alone by numpy.save."
        )
    if similarity.dtype.kind not in "fiu":
        raise ValueError(f"{path} holds {similarity.dtype} and no real numbers; save the similarities as floats.")
    if similarity.shape != (captions, images):
        raise ValueError(
            f"{path} has the shape {similarity.shape}, but there are {captions} captions and {images} images."
        )
    return similarity


def read_captions(path: Path) -> tuple[list[str], np.ndarray, list[list[int]] | None]:
    """The images [I], the image's position of each caption [C] and, where there are any, the group of each caption."""
    content = read_given_json(path)
    if not isinstance(content, Mapping) or not content.get("images"):
        raise ValueError(f'{path} must hold a non-empty list "images" beside its captions.')
    if "annotations" in content:
        return *_read_coco(content, path), None
    if not content.get("captions"):
        raise ValueError(f'{path} must hold non-empty lists "captions" and "images".')
    ids, captions = content["images"], content["captions"]
    if not all(isinstance(caption, Mapping) and isinstance(caption.get("image_index"), int) for caption in captions):
        raise ValueError(f'The captions of {path} must each have an "image_index".')
    image_index = np.array([caption["image_index"] for caption in captions])
    if image_index.min() < 0 or image_index.max() >= len(ids):
        raise ValueError(f"{path} points to an image that is not in its list of {len(ids)}.")
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
    content = read_given_json(path)
    name = "caption" if "annotations" in content else "text"
    rows = content.get("annotations", content.get("captions")) if isinstance(content, Mapping) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, Mapping) and isinstance(row.get(name), str) for row in rows
    ):
        raise ValueError(f'{path} must hold a list of captions, each with a "{name}" that is text.')
    return [row[name] for row in rows]
