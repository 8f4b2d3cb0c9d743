"""List the images of an image set: a parquet of id and URL, for the downloader."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.catalogue.data_sets import ImageList, ImageSet
from workflow_scripts.catalogue.load import Catalogue, load_catalogue
from workflow_scripts.command_line import run_command
from workflow_scripts.data.records import reader_of, reader_options


def list_images(catalogue: Catalogue, entry: ImageList, folder: Path) -> dict[str, str]:
    """Return by id the URLs of the images that annotations name; file names where they have no URL."""
    row = catalogue.data_set(entry.data_set)
    if row.reader is None:
        raise ValueError(f"The data set {entry.data_set} has no reader in the catalogue; it lists no images.")
    options = reader_options(row.reader, row.split(entry.split).options, entry.data_set)
    return reader_of(row.reader).images(folder, options)


def address(url_or_name: str, name: str, image_set: ImageSet) -> str:
    """Return where an image is to be had: its URL, its place on a mirror, or in the data set's archive or folder."""
    if "://" in url_or_name:
        return url_or_name
    if image_set.mirror_images:
        return image_set.mirror_images + quote(url_or_name)
    path, part, query = url_or_name.partition("?offset=")
    return f"archive://{name}/{quote(path)}{part}{query}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--image-set NAME --annotations DIR [DIR ...] --output F [--maximum N] [--from-mirror]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image-set", required=True, help="name of an image set in the catalogue")
    parser.add_argument(
        "--annotations",
        type=Path,
        nargs="+",
        required=True,
        help="one folder for each entry of the set's lists in the catalogue, in their order",
    )
    parser.add_argument("--output", type=Path, required=True, help="parquet with the columns id and url")
    parser.add_argument("--maximum", type=int, help="keep the first N images by id")
    parser.add_argument("--from-mirror", action="store_true", help="the images lie on a mirror, not in an archive")
    parser.add_argument("--catalogue", nargs="*", default=[], help="more files or folders of rows")
    arguments = parser.parse_args(argv)
    catalogue = load_catalogue(arguments.catalogue)
    image_set = catalogue.image_set(arguments.image_set).in_form(arguments.from_mirror)
    if len(arguments.annotations) != len(image_set.lists):
        wanted = ", ".join(f"{entry.data_set} ({entry.split})" for entry in image_set.lists)
        raise ValueError(f"{arguments.image_set} is listed by {wanted}: give --annotations one folder for each.")
    urls: dict[str, str] = {}
    for entry, folder in zip(image_set.lists, arguments.annotations, strict=True):
        found = list_images(catalogue, entry, folder)
        # The first list that names an image says where it is: no later one makes a good address worse.
        urls = {key: address(value, arguments.image_set, image_set) for key, value in found.items()} | urls
    ids = sorted(urls)[: arguments.maximum]
    if not ids:
        raise ValueError(f"The annotations of {arguments.image_set} name no image; fetch them again.")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": ids, "url": [urls[key] for key in ids]})
    temporary = arguments.output.with_name(f".{arguments.output.name}.part")
    pq.write_table(table, temporary)
    temporary.replace(arguments.output)


if __name__ == "__main__":
    run_command(main)
