"""Put the parts of an image set, each stored by a job of its own, into one set."""

import argparse
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.check_alike import check_alike
from workflow_scripts.command_line import read_json, run_command, write_json
from workflow_scripts.data.shards import WITHOUT_METADATA
from workflow_scripts.identity import sha256_of_file

logger = logging.getLogger("join_images")
# What is the same in the manifests of all parts.
COMMON = ("image_set", "source", "settings")


def join_images(parts: Sequence[Path], output: Path) -> dict[str, Any]:
    """Write shards, tables and manifest.json of the whole set; its shards are hard links to those of the parts.

    Raises:
        ValueError: if the parts are of different sets or settings.
    """
    manifests = [read_json(part / "manifest.json") for part in parts]
    check_alike(parts, manifests, COMMON, "they are no parts of one image set; fetch one of them anew")
    joining = output / ".joining"
    shutil.rmtree(joining, ignore_errors=True)
    joining.mkdir(parents=True)
    shards: list[str] = []
    images = []
    for part, manifest in zip(parts, manifests, strict=True):
        names = {old: f"{number:05d}" for number, old in enumerate(manifest["shards"], start=len(shards))}
        for old, new in names.items():
            _link(part / "shards" / f"{old}.tar", joining / f"{new}.tar")
        images.append(_with_names(pq.read_table(part / "images.parquet"), names))
        shards += names.values()
    shutil.rmtree(output / "shards", ignore_errors=True)
    joining.rename(output / "shards")
    pq.write_table(_sorted(images), output / "images.parquet")
    pq.write_table(_sorted([pq.read_table(part / "failures.parquet") for part in parts]), output / "failures.parquet")
    bare = [part / WITHOUT_METADATA for part in parts if (part / WITHOUT_METADATA).is_file()]
    (output / WITHOUT_METADATA).unlink(missing_ok=True)
    if bare:
        pq.write_table(_sorted([pq.read_table(path) for path in bare]), output / WITHOUT_METADATA)
    manifest = {
        **{name: manifests[0][name] for name in COMMON},
        **_counts(manifests),
        "images_table": {"file": "images.parquet", "sha256": sha256_of_file(output / "images.parquet")},
        "shards": shards,
    }
    write_json(output / "manifest.json", manifest)
    logger.info("%s: %d pictures in %d parts", manifest["image_set"], manifest["count"], len(parts))
    return manifest


def _link(shard: Path, target: Path) -> None:
    """Give a shard a second name, or a copy where the parts are on another disk, behind a link."""
    try:
        os.link(os.path.realpath(shard), target)
    except OSError:
        shutil.copyfile(shard, target)


def _with_names(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    """Return a table of pictures with new names of their shards."""
    renamed = pa.array([names[name] for name in table["shard"].to_pylist()], pa.string())
    return table.set_column(table.column_names.index("shard"), "shard", renamed)


def _sorted(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).sort_by("id").combine_chunks()


def _counts(manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    count, requested = (sum(manifest[name] for manifest in manifests) for name in ("count", "requested"))
    bare = sum(manifest.get("without_metadata", 0) for manifest in manifests)
    failures: Counter[str] = Counter()
    for manifest in manifests:
        failures.update(manifest["failures"])
    return {
        "count": count,
        "requested": requested,
        "success_rate": round(count / requested, 6),
        "failures": dict(sorted(failures.items(), key=lambda item: (-item[1], item[0]))),
        **({"without_metadata": bare} if bare else {}),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--parts DIR [DIR ...] --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="folders of the parts, in their order")
    parser.add_argument("--output", type=Path, required=True, help="folder for shards/, tables and manifest.json")
    arguments = parser.parse_args(argv)
    join_images(arguments.parts, arguments.output)


if __name__ == "__main__":
    run_command(main)
