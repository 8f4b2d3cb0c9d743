"""MiniGPT-4's cc_sbu_align: `filter_cap.json` and a folder `image` with `<image_id>.jpg`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.readers.common import find_file, load_json, records, required, text_of


@dataclass(frozen=True)
class Description:
    """A detailed description of a picture."""

    image_id: str
    text: str


def read_descriptions(folder: Path) -> tuple[list[Description], Counter[str]]:
    """Read `filter_cap.json`; empty descriptions and repeated images are counted, not kept."""
    path = find_file(folder, "filter_cap.json")
    descriptions: dict[str, Description] = {}
    removed: Counter[str] = Counter()
    for position, entry in records(load_json(path), "annotations", path):
        image_id = text_of(required(entry, "image_id", path, position))
        text = text_of(required(entry, "caption", path, position)).strip()
        if image_id in descriptions:
            removed["duplicate image id"] += 1
        elif not text:
            removed["description is empty"] += 1
        else:
            descriptions[image_id] = Description(image_id, text)
    return list(descriptions.values()), removed


def image_files(folder: Path) -> dict[str, Path]:
    """Return the pictures by id, as the archive's `image` folder holds them."""
    directory = find_file(folder, "filter_cap.json").parent / "image"
    files = {path.stem: path for path in sorted(directory.glob("*.jpg"))}
    if not files:
        raise ValueError(f"{directory} holds no .jpg file; fetch cc_sbu_align again.")
    return files
