"""Captions of a data set, in whatever format it has."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.readers import coco, conceptual_captions, flickr8k, karpathy, webdataset
from workflow_scripts.data.readers.common import find_file
from workflow_scripts.sources.registry import ImageList


@dataclass(frozen=True)
class Caption:
    """A caption of a picture; `group` where the file says which pictures are compared with each other."""

    id: str
    image_id: str
    text: str
    group: str | None = None


def read_captions(entry: ImageList, folder: Path) -> tuple[list[Caption], Counter[str]]:
    """Read the captions that an image list of the registry names, and count what was left out by reason."""
    if entry.reader == "coco":
        content = coco.read_captions(find_file(folder, entry.file))
        return [Caption(item.id, item.image_id, item.text, item.group) for item in content.captions], content.removed
    if entry.reader == "conceptual_captions":
        pairs, removed = conceptual_captions.read_captions(find_file(folder, entry.file))
        return [Caption(item.id, item.id, item.text) for item in pairs], removed
    if entry.reader == "flickr8k":
        captions, removed = flickr8k.read_captions(folder)
        return [Caption(item.id, item.image_id, item.text) for item in captions], removed
    if entry.reader == "karpathy":
        _, sentences, removed = karpathy.read_captions(folder, entry.subset or "")
        return [Caption(item.id, item.image_id, item.text) for item in sentences], removed
    if entry.reader == "webdataset":
        table, removed = webdataset.read_index(folder)
        columns = (table["id"].to_pylist(), table["text"].to_pylist())
        return [Caption(key, key, text) for key, text in zip(*columns, strict=True)], removed
    raise ValueError(f"The data set {entry.data_set} has no captions to learn from or to search with.")
