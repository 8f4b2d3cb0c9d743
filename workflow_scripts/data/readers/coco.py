"""COCO captions: `captions_train2017.json` and all files of the same layout."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.readers.common import load_json, records, required, text_of, whole_number


@dataclass(frozen=True)
class CocoImage:
    """A picture: `id` is the image id padded to twelve digits; width and height in pixels of the original."""

    id: str
    url: str
    width: int
    height: int


@dataclass(frozen=True)
class CocoCaption:
    """A caption as the annotator wrote it; `group` where the file says which images are compared with each other."""

    id: str
    image_id: str
    text: str
    group: str | None = None


@dataclass(frozen=True)
class CocoCaptions:
    """Images by id in the order of the file, captions in the order of the file, and what was left out."""

    images: dict[str, CocoImage]
    captions: list[CocoCaption]
    removed: Counter[str]


def image_id(number: int | str) -> str:
    """Write a COCO image id as the file names do: twelve digits."""
    return f"{int(number):012d}"


def read_images(content: dict, path: Path) -> tuple[dict[str, CocoImage], Counter[str]]:
    """Read the `images` of a COCO file; of several entries with one id the first counts."""
    images: dict[str, CocoImage] = {}
    removed: Counter[str] = Counter()
    for position, entry in records(content, "images", path):
        key = image_id(whole_number(entry, "id", path, position))
        if key in images:
            removed["duplicate image id"] += 1
            continue
        file_name = text_of(required(entry, "file_name", path, position))
        width, height = (whole_number(entry, name, path, position) for name in ("width", "height"))
        images[key] = CocoImage(key, image_url(entry.get("coco_url"), file_name), width, height)
    return images, removed


def image_url(url: str | None, file_name: str) -> str:
    """Return the picture's URL; where the file has none, the one that COCO's server has for the file name."""
    if url:
        return url
    year = file_name.split("_")[1] if file_name.startswith("COCO_") else "train2017"
    return f"http://images.cocodataset.org/{year}/{file_name}"


def read_captions(path: Path) -> CocoCaptions:
    """Read a caption file; duplicate caption ids and captions of unknown images are counted, not kept."""
    content = load_json(path)
    images, removed = read_images(content, path)
    captions: list[CocoCaption] = []
    seen: set[str] = set()
    for position, entry in records(content, "annotations", path):
        caption_id = str(required(entry, "id", path, position))
        key = image_id(whole_number(entry, "image_id", path, position))
        if caption_id in seen:
            removed["duplicate caption id"] += 1
        elif key not in images:
            removed["caption of an unknown image"] += 1
        else:
            seen.add(caption_id)
            text = text_of(required(entry, "caption", path, position))
            captions.append(CocoCaption(caption_id, key, text, entry.get("group")))
    return CocoCaptions(images, captions, removed)
