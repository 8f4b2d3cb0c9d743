"""List the pictures of an image set: a parquet of id and URL, for the downloader."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command
from workflow_scripts.data.readers import (
    coco,
    conceptual_captions,
    daquar,
    flickr8k,
    gqa,
    karpathy,
    minigpt4,
    okvqa,
    refcoco,
    visual_genome,
    webdataset,
)
from workflow_scripts.data.readers.common import find_file
from workflow_scripts.sources.registry import TABLE, ImageList, ImageSet, load_registry


def list_pictures(entry: ImageList, folder: Path) -> dict[str, str]:
    """Return by id the URLs of the pictures that annotations name; file names where they have no URL."""
    if entry.reader == "coco":
        images = coco.read_captions(find_file(folder, entry.file)).images
        return {key: image.url for key, image in images.items()}
    if entry.reader == "conceptual_captions":
        captions, _ = conceptual_captions.read_captions(find_file(folder, entry.file))
        return {caption.id: caption.url for caption in captions}
    if entry.reader == "visual_genome":
        return {key: image.url for key, image in visual_genome.read_images(folder)[0].items()}
    if entry.reader == "okvqa":
        questions, _ = okvqa.read_questions(folder, entry.subset)
        return {question.image_id: okvqa.image_url(question.image_id, entry.subset) for question in questions}
    if entry.reader == "refcoco":
        expressions, images, _ = refcoco.read_expressions(folder)
        return {item.image_id: images[item.image_id].url for item in expressions}
    if entry.reader == "flickr8k":
        return {flickr8k.image_id(name): name for name in flickr8k.read_split(folder, entry.subset or "")}
    if entry.reader == "daquar":
        questions, _ = daquar.read_questions(folder, entry.subset or "")
        return {question.image_id: f"{question.image_id}.jpg" for question in questions}
    if entry.reader == "minigpt4":
        descriptions, _ = minigpt4.read_descriptions(folder)
        return {description.image_id: f"{description.image_id}.jpg" for description in descriptions}
    if entry.reader == "karpathy":
        return karpathy.read_captions(folder, entry.subset or "")[0]
    if entry.reader == "gqa":
        scene_questions, _ = gqa.read_questions(folder, entry.file or "")
        return {question.image_id: f"{question.image_id}.jpg" for question in scene_questions}
    if entry.reader == "webdataset":
        return webdataset.addresses(folder, entry.data_set)
    raise ValueError(f"The data set {entry.data_set} lists no pictures.")


def address(url_or_name: str, name: str, image_set: ImageSet) -> str:
    """Return where a picture is to be had: its URL, its place on a mirror, or in the data set's archive."""
    if "://" in url_or_name:
        return url_or_name
    if image_set.mirror_pictures:
        return image_set.mirror_pictures + quote(url_or_name)
    return f"archive://{name}/{url_or_name}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--image-set NAME --annotations DIR [DIR ...] --output F [--maximum N] [--from-mirror]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image-set", required=True, help="name of an image set in the registry")
    parser.add_argument(
        "--annotations",
        type=Path,
        nargs="+",
        required=True,
        help="one folder for each data set that lists pictures of the set, in the order of the registry",
    )
    parser.add_argument("--output", type=Path, required=True, help="parquet with the columns id and url")
    parser.add_argument("--maximum", type=int, help="keep the first N pictures by id")
    parser.add_argument("--from-mirror", action="store_true", help="the pictures lie on a mirror, not in an archive")
    parser.add_argument("--registry", type=Path, default=TABLE)
    arguments = parser.parse_args(argv)
    image_set = load_registry(arguments.registry).image_set(arguments.image_set).in_form(arguments.from_mirror)
    if len(arguments.annotations) != len(image_set.lists):
        wanted = ", ".join(entry.data_set for entry in image_set.lists)
        raise ValueError(f"{arguments.image_set} is listed by {wanted}: give --annotations one folder for each.")
    urls: dict[str, str] = {}
    for entry, folder in zip(image_set.lists, arguments.annotations, strict=True):
        found = list_pictures(entry, folder)
        urls |= {key: address(value, arguments.image_set, image_set) for key, value in found.items()}
    ids = sorted(urls)[: arguments.maximum]
    if not ids:
        raise ValueError(f"The annotations of {arguments.image_set} name no picture; fetch them again.")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": ids, "url": [urls[key] for key in ids]})
    temporary = arguments.output.with_name(f".{arguments.output.name}.part")
    pq.write_table(table, temporary)
    temporary.replace(arguments.output)


if __name__ == "__main__":
    run_command(main)
