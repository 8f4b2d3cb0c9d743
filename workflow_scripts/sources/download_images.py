"""Download the pictures of an image set into webdataset shards with a manifest."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command
from workflow_scripts.config.data import DownloadSettings


def check_url_list(path: Path) -> None:
    """See that a URL list has the columns id and url, and no id twice."""
    if not path.is_file():
        raise ValueError(f"The URL list {path} does not exist; run data.list_image_urls first.")
    try:
        table = pq.read_table(path, columns=["id", "url"])
    except (pa.ArrowInvalid, KeyError) as error:
        raise ValueError(f"{path} is not a parquet file with the columns id and url ({error}).") from error
    ids = table["id"].to_pylist()
    if not ids or len(set(ids)) != len(ids):
        raise ValueError(f"{path} must name at least one picture, and none twice; it has {len(ids)} rows.")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--url-list urls.parquet --image-set NAME --output DIR --settings JSON(DownloadSettings)`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url-list", type=Path, required=True, help="parquet with the columns id and url")
    parser.add_argument("--image-set", required=True, help="name of the set, the first part of its image keys")
    parser.add_argument("--output", type=Path, required=True, help="folder for shards/, tables and manifest.json")
    parser.add_argument("--settings", default="{}", help="JSON of DownloadSettings")
    arguments = parser.parse_args(argv)
    settings = DownloadSettings.model_validate_json(arguments.settings)
    check_url_list(arguments.url_list)
    from workflow_scripts.sources.image_set import store_images  # img2dataset takes seconds to import

    store_images(arguments.url_list, arguments.image_set, arguments.output, settings, "downloaded from each URL")


if __name__ == "__main__":
    run_command(main)
