"""Pictures of image sets by their keys."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.command_line import progress, read_json

if TYPE_CHECKING:
    from PIL.Image import Image


def image_set_name(folder: Path) -> str:
    """The name of an image set, which begins the keys of its images."""
    return read_json(Path(folder) / "manifest.json")["image_set"]


def read_pictures(images: Collection[str], image_sets: Sequence[Path]) -> Iterator[tuple[str, "Image"]]:
    """Yield key and RGB picture of each of the images, in the order of the shards; a missing one is an error."""
    from workflow_scripts.data.shards import iterate_images

    missing = set(images)
    for folder in image_sets:
        name = image_set_name(folder)
        here = sum(image.startswith(f"{name}/") for image in missing)
        if not here:
            continue
        for image_id, picture, _ in progress(iterate_images(folder), total=None, label=f"pictures of {name}"):
            key = f"{name}/{image_id}"
            if key in missing:
                missing.remove(key)
                here -= 1
                yield key, picture
            if not here:
                break
    if missing:
        raise ValueError(
            f"{len(missing)} images are in none of {', '.join(map(str, image_sets))}, {min(missing)} among them; "
            "run the downloads again or give their image sets."
        )


def available_keys(image_sets: Sequence[Path]) -> set[str]:
    """Keys of all images that the manifests of the image sets list."""
    import pyarrow.parquet

    keys: set[str] = set()
    for folder in image_sets:
        manifest = read_json(Path(folder) / "manifest.json")
        listed = manifest.get("images")
        if isinstance(listed, dict):
            ids = list(listed)
        else:
            ids = pyarrow.parquet.read_table(Path(folder) / "images.parquet", columns=["id"])["id"].to_pylist()
        keys.update(f"{manifest['image_set']}/{image_id}" for image_id in ids)
    return keys
