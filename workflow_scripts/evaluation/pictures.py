"""Pictures of several image sets by their keys."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.command_line import progress

if TYPE_CHECKING:
    from PIL.Image import Image


def read_pictures(images: Collection[str], image_sets: Sequence[Path]) -> Iterator[tuple[str, "Image"]]:
    """Yield key and RGB picture of each of the images, set by set in the order of keys; a missing one is an error."""
    from workflow_scripts.data.shards import ImageSet

    missing = set(images)
    for folder in image_sets:
        image_set = ImageSet.open(folder)
        here = sorted(
            image
            for image in missing
            if image.startswith(f"{image_set.name}/") and image.partition("/")[2] in image_set.images
        )
        if not here:
            continue
        missing.difference_update(here)
        for image in progress(here, total=len(here), label=f"pictures of {image_set.name}"):
            yield image, image_set.open_image(image.partition("/")[2])
    if missing:
        raise ValueError(
            f"{len(missing)} images are in none of {', '.join(map(str, image_sets))}, {min(missing)} among them; "
            "run the downloads again or give their image sets."
        )


def available_keys(image_sets: Sequence[Path]) -> set[str]:
    """Keys of all images of the image sets."""
    from workflow_scripts.data.shards import ImageSet

    sets = [ImageSet.open(folder) for folder in image_sets]
    return {image_set.key(image_id) for image_set in sets for image_id in image_set.images}
