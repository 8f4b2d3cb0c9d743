"""The pictures that an index was built from, in their own size."""

from functools import cached_property
from pathlib import Path

from PIL import Image

from workflow_scripts.data.shards import ImageSet
from workflow_scripts.files.images import open_image
from workflow_scripts.search.index import Index


class Originals:
    """Opens the pictures of an index, which lie in image sets or below one folder."""

    def __init__(self, index: Index, max_pixels: int) -> None:
        self._index = index
        self._max_pixels = max_pixels

    def open(self, row: int) -> Image.Image:
        """The picture of a row, upright RGB; ValueError where it is not there any more or damaged."""
        file = self._index.items[row]["file"]
        name, _, image_id = file.partition("/")
        if name in self._image_sets:
            return self._image_sets[name].open_image(image_id)
        return open_image(self._folders[0] / file, self._max_pixels).image

    @cached_property
    def _folders(self) -> list[Path]:
        images = self._index.manifest["images"]
        return [(self._index.folder / folder).resolve() for folder in images]

    @cached_property
    def _image_sets(self) -> dict[str, ImageSet]:
        """The image sets of the index by name; none where it is of a folder of pictures."""
        stored = [ImageSet.open(folder) for folder in self._folders if (folder / "manifest.json").is_file()]
        return {image_set.name: image_set for image_set in stored}
