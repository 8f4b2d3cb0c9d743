"""Put the features of an image set's parts, each computed by a job of its own, into one store."""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.check_alike import check_alike
from workflow_scripts.command_line import read_json, run_command, write_json
from workflow_scripts.features.store import KINDS, FeatureWriter
from workflow_scripts.identity import sha256_of_file

logger = logging.getLogger("join_features")
# What is the same in the definitions of all parts.
COMMON = ("image_set", "extractor_sha256", "transform")


def join_features(parts: Sequence[Path], images: Path, output: Path) -> None:
    """Write the store of the whole set; its arrays are hard links to those of the parts.

    Args:
        images: folder of the whole image set, to which the store will belong.

    Raises:
        ValueError: if the parts are of different image sets, extractors or transforms, or lack pictures of the set.
    """
    definitions = [read_json(part / "definition.json") for part in parts]
    otherwise = "they are no parts of one feature store; extract the features of one of them anew"
    check_alike(parts, definitions, COMMON, otherwise)
    definition = {**definitions[0], "images_sha256": sha256_of_file(images / "manifest.json")}
    FeatureWriter(output, definition)  # throws away what another definition left
    records = [(part, record) for part in parts for record in sorted((part / "shards").glob("*.json"))]
    for number, (part, path) in enumerate(records):
        _link_shard(part, path, output, number)
    # Opened again, the writer finds all shards finished, and compares them with their checksums.
    count = FeatureWriter(output, definition).finish()["count"]
    expected = read_json(images / "manifest.json")["count"]
    if count != expected:
        (output / "manifest.json").unlink()
        raise ValueError(
            f"The {len(parts)} parts have features of {count} pictures, but {images} holds {expected}; "
            "extract the features of its parts anew."
        )
    logger.info("%s: features of %d images in %d parts", definition["image_set"], count, len(parts))


def _link_shard(part: Path, path: Path, output: Path, number: int) -> None:
    """Take a shard over into the whole store under its number there."""
    record = read_json(path)
    for kind, file in zip(KINDS, record["files"], strict=True):
        name = f"{kind}-{number:05d}.npy"
        (output / name).unlink(missing_ok=True)
        os.link(part / file["file"], output / name)
        file["file"] = name
    write_json(output / "shards" / f"{number:05d}.json", record)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--parts DIR [DIR ...] --images DIR --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="stores of the parts, in their order")
    parser.add_argument("--images", type=Path, required=True, help="folder of the whole image set")
    parser.add_argument("--output", type=Path, required=True, help="folder of the feature store")
    arguments = parser.parse_args(argv)
    join_features(arguments.parts, arguments.images, arguments.output)


if __name__ == "__main__":
    run_command(main)
