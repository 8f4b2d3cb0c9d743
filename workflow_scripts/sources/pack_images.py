"""Store the pictures that a data set ships in its archive in the same shards as downloaded ones."""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command
from workflow_scripts.config.data import DownloadSettings
from workflow_scripts.files.images import COMMON_TEXT
from workflow_scripts.files.walk import walk_images
from workflow_scripts.sources.download_images import check_url_list

logger = logging.getLogger("pack_images")

ENDINGS = (".jpg", ".jpeg", ".png")
_TOLD = 20


def list_files(folder: Path, image_set: str) -> list[Path]:
    """Return all pictures below a folder, JPEG and PNG first; what else is there is logged, none is a ValueError."""
    if not folder.is_dir():
        raise ValueError(f"The folder of pictures {folder} does not exist; fetch the data set first.")
    found = walk_images(folder)
    left_out = [f"{one['file']}: {one['reason']}" for one in found.not_read]
    files: dict[str, Path] = {}
    several: list[Path] = []
    # A camera's HEIC, or a mask as GIF, may stand beside the JPEG of the same name.
    for path in sorted(found.images, key=lambda path: path.suffix.lower() not in ENDINGS):
        name = path.relative_to(folder).as_posix()
        if not _is_text(name):
            left_out.append(f"{name.encode(errors='replace').decode()}: its name is no text in UTF-8")
        elif path.stem not in files:
            files[path.stem] = path
        elif path.suffix.lower() in ENDINGS:
            several.append(path)
        else:
            left_out.append(f"{name}: there is another picture of this name")
    for line in left_out[:_TOLD]:
        logger.info("%s: left out %s", image_set, line)
    if left_out or found.others:
        others = f"; no pictures by their names: {found.others_text()}" if found.others else ""
        logger.info("%s: %d pictures in %s, %d left out%s", image_set, len(files), folder, len(left_out), others)
    if not files:
        there = f" It holds {found.others_text()}." if found.others else ""
        raise ValueError(f"{folder} holds no picture ({COMMON_TEXT}); fetch the data set again.{there}")
    return [*files.values(), *several]


def address(path: Path, folder: Path, image_set: str) -> str:
    """Return the address of a picture in a folder."""
    return f"archive://{image_set}/{quote(path.relative_to(folder).as_posix())}"


def list_pictures(folder: Path, image_set: str) -> dict[str, str]:
    """Return address by id of all pictures below a folder; the id is the file name without its ending."""
    pictures: dict[str, str] = {}
    for path in list_files(folder, image_set):
        if path.stem in pictures:
            raise ValueError(f"{folder} holds two pictures named {path.stem}; ids must differ.")
        pictures[path.stem] = address(path, folder, image_set)
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


def choose_pictures(folder: Path, url_list: Path, image_set: str) -> dict[str, str]:
    """Return address by id of the listed pictures.

    A picture is the file that its address names, from the folder; or else that of this name without its ending,
    or of its id, anywhere below the folder. What is not there keeps the listed address, and fails there.

    Raises:
        ValueError: none of them is there, or two files have the name of one.
    """
    by_stem: dict[str, list[Path]] = {}
    for path in list_files(folder, image_set):
        by_stem.setdefault(path.stem, []).append(path)
    wanted = read_url_list(url_list)
    chosen: dict[str, str] = {}
    for key, url in wanted.items():
        named = _named(folder, url)
        found = [named] if named else by_stem.get(key) or by_stem.get(Path(unquote(urlsplit(url).path)).stem, [])
        if len(found) > 1:
            raise ValueError(f"{folder} holds two pictures named {found[0].stem}; ids must differ.")
        if found:
            chosen[key] = address(found[0], folder, image_set)
    if not chosen:
        raise ValueError(
            f"{folder} holds none of the {len(wanted)} pictures that {url_list} names ({next(iter(wanted))}, ...); "
            "are archive and annotations of the same data set?"
        )
    return {**wanted, **chosen}


def _named(folder: Path, url: str) -> Path | None:
    """The file of an address, whose path is relative to the folder or leads into it; None if it is not there."""
    root = Path(os.path.abspath(folder))
    path = Path(os.path.abspath(root / unquote(urlsplit(url).path).removeprefix("/")))
    return folder / path.relative_to(root) if path.is_relative_to(root) and path.is_file() else None


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
    elif arguments.url_list:
        pictures = choose_pictures(arguments.pictures, arguments.url_list, arguments.image_set)
    else:
        pictures = list_pictures(arguments.pictures, arguments.image_set)
    arguments.output.mkdir(parents=True, exist_ok=True)
    url_list = arguments.output / "urls.parquet"
    pq.write_table(pa.table({"id": list(pictures), "url": list(pictures.values())}), url_list)
    from workflow_scripts.sources.image_set import store_images  # img2dataset takes seconds to import

    source = "the data set's archive"
    store_images(url_list, arguments.image_set, arguments.output, settings, source, archive=arguments.pictures)


if __name__ == "__main__":
    run_command(main)
