"""List the pictures of an image set: a parquet of id and URL, for the downloader."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command
from workflow_scripts.data.readers import coco, conceptual_captions, flickr8k, okvqa, refcoco, visual_genome
from workflow_scripts.data.readers.common import find_file
from workflow_scripts.sources.registry import TABLE, ImageList, load_registry


def list_urls(entry: ImageList, folder: Path) -> dict[str, str]:
    """Return URL by id of the pictures that annotations name."""
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
        names = flickr8k.read_split(folder, entry.subset)
        return {flickr8k.image_id(name): flickr8k.image_url(name) for name in names}
    raise ValueError(f"The pictures of {entry.data_set} are in its archive; pack_images stores them.")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--image-set NAME --annotations DIR [DIR ...] --output urls.parquet [--maximum N]`."""
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
    parser.add_argument("--registry", type=Path, default=TABLE)
    arguments = parser.parse_args(argv)
    image_set = load_registry(arguments.registry).image_set(arguments.image_set)
    if len(arguments.annotations) != len(image_set.lists):
        wanted = ", ".join(entry.data_set for entry in image_set.lists)
        raise ValueError(f"{arguments.image_set} is listed by {wanted}: give --annotations one folder for each.")
    urls: dict[str, str] = {}
    for entry, folder in zip(image_set.lists, arguments.annotations, strict=True):
        urls |= list_urls(entry, folder)
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
