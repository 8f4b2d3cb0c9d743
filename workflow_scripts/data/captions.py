"""Captions of a data set, in whatever format it has."""

from collections import Counter
from collections.abc import Iterator
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
    raise ValueError(f"The data set {entry.data_set} has no captions to learn from or to search with.")


def iterate_captions(entry: ImageList, folder: Path) -> tuple[Iterator[Caption], Counter[str], bool]:
    """Return captions one after the other, what was left out, and whether they are in the order of image ids.

    Data sets of millions of captions, which come in that order, are read block by block; what was left out of them is
    counted when all are read.
    """
    if entry.reader == "webdataset":
        removed = webdataset.index_samples(folder)
        rows = webdataset.read_samples(folder, ["id", "text"])
        return (Caption(row["id"], row["id"], row["text"]) for row in rows), removed, True
    if entry.reader == "conceptual_captions":
        pairs, removed = conceptual_captions.iterate_captions(find_file(folder, entry.file))
        return (Caption(item.id, item.id, item.text) for item in pairs), removed, True
    captions, removed = read_captions(entry, folder)
    return iter(captions), removed, False
