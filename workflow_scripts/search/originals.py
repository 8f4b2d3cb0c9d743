"""The pictures that an index was built from, in their own size."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from PIL import Image

from workflow_scripts.command_line import read_json
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.files.images import ImageError, open_image
from workflow_scripts.files.stored_paths import not_there, stored_places
from workflow_scripts.search.index import Index

WAY_OUT = "name where they are with --images"


class Originals:
    """Opens the pictures of an index, which lie in image sets or below one folder.

    Args:
        images: where they are now, instead of what the index says: the folder of pictures, or image sets or a folder
            of them.
    """

    def __init__(self, index: Index, max_pixels: int, images: Sequence[Path] | None = None) -> None:
        self._index = index
        self._max_pixels = max_pixels
        self._given = images

    def open(self, row: int) -> Image.Image:
        """The picture of a row, upright RGB; ValueError where it is not there any more or damaged."""
        file = self._index.items[row]["file"]
        name, _, image_id = file.partition("/")
        if name in self._image_sets:
            return self._image_sets[name].open_image(image_id)
        path = next((folder / file for folder in self._folders if (folder / file).exists()), None)
        if path is None:
            if not any(folder.is_dir() for folder in self._folders):
                self._fail_without_images()
            places = " nor in ".join(map(str, self._folders))
            raise ImageError(f"{file} of the index {self._index.folder} is not in {places} any more; {WAY_OUT}.")
        try:
            return open_image(path, self._max_pixels).image
        except ImageError as error:
            raise ImageError(f"{path} cannot be used: {error}.") from error

    def _fail_without_images(self) -> None:
        if self._given:
            raise ValueError(f"--images: there is no folder {self._given[0]}.")
        raise not_there("The pictures", self._index.manifest["images"], self._index.folder, WAY_OUT)

    @cached_property
    def _folders(self) -> list[Path]:
        if self._given:
            return list(self._given)
        images = self._index.manifest["images"]
        return [place for stored in images for place in stored_places(stored, self._index.folder)]

    @cached_property
    def _image_sets(self) -> dict[str, ImageSet]:
        """The image sets of the index by name; none where it is of a folder of pictures."""
        below = [path.parent for folder in self._given or () for path in sorted(folder.glob("*/manifest.json"))]
        stored = [ImageSet.open(folder) for folder in (*self._folders, *below) if _is_image_set(folder)]
        return {image_set.name: image_set for image_set in reversed(stored)}


def _is_image_set(folder: Path) -> bool:
    """Whether a folder holds an image set; a folder of pictures may have a manifest.json of its own."""
    if not (folder / "manifest.json").is_file() or not (folder / "shards").is_dir():
        return False
    manifest = read_json(folder / "manifest.json")
    return isinstance(manifest, dict) and "image_set" in manifest
