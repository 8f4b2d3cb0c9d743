"""Karpathy's split of COCO 2014: `dataset_coco.json`, pictures with their captions and the part that each is in."""

from collections import Counter
from pathlib import Path

from workflow_scripts.data.readers.coco import CocoCaption, image_id, image_url
from workflow_scripts.data.readers.common import find_file, load_json, records, required, text_of, whole_number

SUBSETS = ("train", "restval", "val", "test")


def read_captions(folder: Path, subset: str) -> tuple[dict[str, str], list[CocoCaption], Counter[str]]:
    """Read a part of the split: URL by id in the order of the file, the captions, and what was left out.

    Of several entries with one COCO id, and of several captions with one id, the first counts.
    """
    if subset not in SUBSETS:
        raise ValueError(f"Karpathy's split has no part {subset!r}; choose one of {', '.join(SUBSETS)}.")
    path = find_file(folder, "dataset_coco.json")
    urls: dict[str, str] = {}
    captions: list[CocoCaption] = []
    removed: Counter[str] = Counter()
    seen: set[str] = set()
    for position, entry in records(load_json(path), "images", path):
        split = text_of(required(entry, "split", path, position))
        if split not in SUBSETS:
            raise ValueError(
                f"Entry {position} of {path} is in the unknown split {split!r}, expected {', '.join(SUBSETS)}."
            )
        if split != subset:
            continue
        key = image_id(whole_number(entry, "cocoid", path, position))
        if key in urls:
            removed["duplicate image id"] += 1
            continue
        urls[key] = image_url(None, text_of(required(entry, "filename", path, position)))
        for _, sentence in records(entry, "sentences", path):
            caption_id = text_of(required(sentence, "sentid", path, position))
            if caption_id in seen:
                removed["duplicate caption id"] += 1
                continue
            seen.add(caption_id)
            captions.append(CocoCaption(caption_id, key, text_of(required(sentence, "raw", path, position))))
    if not urls:
        raise ValueError(f"{path} holds no picture of the part {subset}; fetch it again.")
    return urls, captions, removed
