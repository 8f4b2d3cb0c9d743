"""List the training images that evaluations ask about: the same COCO image, whatever data set it is in."""

import argparse
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.catalogue.data_sets import SPLIT_NAMES
from workflow_scripts.catalogue.load import Catalogue, load_catalogue
from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.data.records import reader_of, reader_options

logger = logging.getLogger("list_exclusions")


def evaluation_images(catalogue: Catalogue, name: str, folder: Path) -> dict[str, set[str]]:
    """Return COCO ids by what is asked about them: the data set and its own name of the part, as in `refcoco testA`.

    Asked is what the splits validation and test are read from, without the parts that train.
    """
    row = catalogue.data_set(name)
    if row.reader is None or not row.splits.keys() & {"validation", "test"}:
        raise ValueError(f"The data set {name} has no records of validation or test in the catalogue.")
    training = _read_as(catalogue, name, "train") if "train" in row.splits else None
    trained_on = row.split("train").parts if "train" in row.splits else []
    asked: dict[str, set[str]] = {}
    done: list[Any] = []
    for split in (one for one in SPLIT_NAMES if one != "train" and one in row.splits):
        read_as = _read_as(catalogue, name, split)
        if read_as in done:
            continue
        if read_as == training and not trained_on:
            raise ValueError(
                f"The data set {name} has no images of {split} of its own, but holds some out of those that it trains "
                "on; such images are left out of its own samples only."
            )
        done.append(read_as)
        same = _coco_ids(catalogue, name, catalogue.images_of(name, split), split, folder)
        options = reader_options(row.reader, row.split(split).options, name)
        for record in reader_of(row.reader).read(folder, options, frozenset(row.tasks)).records:
            if record.part in trained_on or (same is not None and record.image_id not in same):
                continue
            key = record.image_id if same is None else same[record.image_id]
            asked.setdefault(f"{name} {record.part or row.split(split).called or split}", set()).add(key)
    return asked


def _read_as(catalogue: Catalogue, name: str, split: Any) -> tuple[Any, ...]:
    """What a split is read from; equal for splits of the same files."""
    return (
        catalogue.files_of(name, split),
        catalogue.images_of(name, split),
        catalogue.data_set(name).split(split).options,
    )


def _coco_ids(catalogue: Catalogue, data_set: str, image_set: str, split: Any, folder: Path) -> dict[str, str] | None:
    """The COCO ids by id of a data set's images that are COCO's; None where the ids are COCO's themselves."""
    ids = catalogue.image_set(image_set).ids
    if ids == "own":
        known = ", ".join(name for name, row in catalogue.image_sets.items() if row.ids != "own")
        raise ValueError(
            f"The catalogue has no COCO ids of the image set {image_set} (ids: own), so that its images are not known "
            f"in other sets; those of {known} are."
        )
    if ids == "coco":
        return None
    row = catalogue.data_set(data_set)
    assert row.reader is not None, "data sets of an image set have a reader"
    options = reader_options(row.reader, row.split(split).options, data_set)
    return reader_of(row.reader).twins(folder, options)


def training_images(catalogue: Catalogue, name: str, folders: Sequence[Path]) -> dict[str, str]:
    """Return by id the COCO id of every image of a training set that is COCO's."""
    lists = catalogue.image_set(name).lists
    if len(lists) != len(folders):
        wanted = ", ".join(f"{entry.data_set} ({entry.split})" for entry in lists)
        raise ValueError(f"{name} is listed by {wanted}: give --training {name} once with the folder of each.")
    found: dict[str, str] = {}
    for entry, folder in zip(lists, folders, strict=True):
        twins = _coco_ids(catalogue, entry.data_set, name, entry.split, folder)
        if twins is None:
            row = catalogue.data_set(entry.data_set)
            assert row.reader is not None, "data sets of an image set have a reader"
            options = reader_options(row.reader, row.split(entry.split).options, entry.data_set)
            twins = {key: key for key in reader_of(row.reader).images(folder, options)}
        found |= twins
    return found


def find_shared(asked: Mapping[str, set[str]], coco_ids: Mapping[str, str]) -> dict[str, list[str]]:
    """Return by id the reasons to leave an image out, of those that are asked about."""
    found: dict[str, list[str]] = {}
    for key, coco_id in sorted(coco_ids.items()):
        reasons = [reason for reason, images in asked.items() if coco_id in images]
        if reasons:
            found[key] = reasons
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--evaluation DATA_SET ANNOTATIONS [...] --training IMAGE_SET ANNOTATIONS [...] --output F`."""
    parser = argparse.ArgumentParser(description=__doc__)
    pair = {"nargs": 2, "action": "append", "required": True}
    parser.add_argument(
        "--evaluation", metavar=("DATA_SET", "ANNOTATIONS"), help="a data set that evaluations ask from", **pair
    )
    parser.add_argument(
        "--training", metavar=("IMAGE_SET", "ANNOTATIONS"), help="once for each of the set's lists", **pair
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON {image_sets: {image set: {id: [reasons]}}}")
    parser.add_argument("--catalogue", nargs="*", default=[], help="more files or folders of rows")
    arguments = parser.parse_args(argv)
    catalogue = load_catalogue(arguments.catalogue)
    asked: dict[str, set[str]] = {}
    for name, folder in arguments.evaluation:
        for reason, images in evaluation_images(catalogue, name, Path(folder)).items():
            asked.setdefault(reason, set()).update(images)
    folders: dict[str, list[Path]] = {}
    for name, folder in arguments.training:
        folders.setdefault(name, []).append(Path(folder))
    image_sets: dict[str, dict[str, list[str]]] = {}
    counts: dict[str, dict[str, int]] = {}
    for name, places in folders.items():
        found = find_shared(asked, training_images(catalogue, name, places))
        image_sets[name] = found
        counts[name] = {"pictures": len(found), **Counter(reason for reasons in found.values() for reason in reasons)}
    evaluations = {reason: len(images) for reason, images in asked.items()}
    write_json(arguments.output, {"evaluations": evaluations, "counts": counts, "image_sets": image_sets})
    logger.info("%s", {name: count["pictures"] for name, count in counts.items()})


if __name__ == "__main__":
    run_command(main)
