"""Store the pictures that a data set ships in its archive in the same shards as downloaded ones."""

import argparse
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command
from workflow_scripts.config.data import DownloadSettings
from workflow_scripts.files.images import COMMON_TEXT
from workflow_scripts.files.walk import walk_images
from workflow_scripts.sources.download_images import check_url_list

logger = logging.getLogger("pack_images")

ENDINGS = (".jpg", ".jpeg", ".png")
_SPECIAL = re.compile(r"[%?#]")  # what would end the path of an address, or change it
_TOLD = 20


def list_pictures(folder: Path, image_set: str) -> dict[str, str]:
    """Return address by id of all pictures below a folder; the id is the file name without its ending.

    What else is there is logged. Where one name has several endings, JPEG and PNG come first.
    """
    if not folder.is_dir():
        raise ValueError(f"The folder of pictures {folder} does not exist; fetch the data set first.")
    found = walk_images(folder)
    left_out = [f"{one['file']}: {one['reason']}" for one in found.not_read]
    pictures: dict[str, str] = {}
    # A camera's HEIC, or a mask as GIF, may stand beside the JPEG of the same name.
    for path in sorted(found.images, key=lambda path: path.suffix.lower() not in ENDINGS):
        name = path.relative_to(folder).as_posix()
        if not _is_text(name):
            left_out.append(f"{name.encode(errors='replace').decode()}: its name is no text in UTF-8")
        elif path.stem not in pictures:
            pictures[path.stem] = f"archive://{image_set}/{_SPECIAL.sub(lambda mark: quote(mark[0]), name)}"
        elif path.suffix.lower() in ENDINGS:
            raise ValueError(f"{folder} holds two pictures named {path.stem}; ids must differ.")
        else:
            left_out.append(f"{name}: there is another picture of this name")
    for line in left_out[:_TOLD]:
        logger.info("%s: left out %s", image_set, line)
    if left_out or found.others:
        others = f"; no pictures by their names: {found.others_text()}" if found.others else ""
        logger.info("%s: %d pictures in %s, %d left out%s", image_set, len(pictures), folder, len(left_out), others)
    if not pictures:
        there = f" It holds {found.others_text()}." if found.others else ""
        raise ValueError(f"{folder} holds no picture ({COMMON_TEXT}); fetch the data set again.{there}")
    return pictures


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_url_list(url_list: Path) -> dict[str, str]:
    """Return address by id of a list of pictures."""
    check_url_list(url_list)
    table = pq.read_table(url_list, columns=["id", "url"])
    return dict(zip(table["id"].to_pylist(), table["url"].to_pylist(), strict=True))


def in_packed_tars(url_list: Path) -> bool:
    """Whether a list says itself where in tar files its pictures lie (`archive://NAME/x.tar?offset=1536&size=99`)."""
    first = next(iter(read_url_list(url_list).values()))
    return "?offset=" in first


def choose_pictures(pictures: dict[str, str], url_list: Path, folder: Path) -> dict[str, str]:
    """Return the listed ones of an archive's pictures; what it lacks keeps the listed address, and fails there."""
    wanted = read_url_list(url_list)
    if not wanted.keys() & pictures.keys():
        raise ValueError(
            f"{folder} holds none of the {len(wanted)} pictures that {url_list} names ({next(iter(wanted))}, ...); "
            "are archive and annotations of the same data set?"
        )
    return {key: pictures.get(key, url) for key, url in wanted.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--pictures DIR --image-set NAME --output DIR --settings JSON(DownloadSettings) [--url-list F]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="folder of the unpacked archive")
    parser.add_argument("--image-set", required=True, help="name of the set, the first part of its image keys")
    parser.add_argument("--output", type=Path, required=True, help="folder for shards/, tables and manifest.json")
    parser.add_argument("--url-list", type=Path, help="parquet with the column id: the pictures to store; else all")
    parser.add_argument("--settings", default="{}", help="JSON of DownloadSettings")
    arguments = parser.parse_args(argv)
    settings = DownloadSettings.model_validate_json(arguments.settings)
    if arguments.url_list and in_packed_tars(arguments.url_list):
        pictures = read_url_list(arguments.url_list)
    else:
        pictures = list_pictures(arguments.pictures, arguments.image_set)
        if arguments.url_list:
            pictures = choose_pictures(pictures, arguments.url_list, arguments.pictures)
    arguments.output.mkdir(parents=True, exist_ok=True)
    url_list = arguments.output / "urls.parquet"
    pq.write_table(pa.table({"id": list(pictures), "url": list(pictures.values())}), url_list)
    from workflow_scripts.sources.image_set import store_images  # img2dataset takes seconds to import

    source = "the data set's archive"
    store_images(url_list, arguments.image_set, arguments.output, settings, source, archive=arguments.pictures)


if __name__ == "__main__":
    run_command(main)
