"""The data sets that a table is made from: records of one split, about stored images."""

import argparse
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflow_scripts.catalogue.benchmarks import split_part
from workflow_scripts.catalogue.data_sets import SplitName
from workflow_scripts.catalogue.load import Catalogue, nearest
from workflow_scripts.data.records import Reading, Record, reader_of, reader_options
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.data.splits import Splits
from workflow_scripts.data.wording import Wording

NOT_FETCHED = "picture could not be fetched"
HELD_OUT = "held out"


class PartSource:
    """A split of a data set: how its records are read, and the stored images that they are about.

    Args:
        catalogue: holds the row of the data set.
        data_set, split: what is read.
        annotations: folder of its files.
        images: folder of the stored image set; one that the split is not about is a ValueError.
        split_file: JSON {image set: {split: [ids]}}, which goes before the hold_out of the image set.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        data_set: str,
        split: SplitName,
        annotations: Path,
        images: Path,
        split_file: Path | None = None,
    ) -> None:
        self.data_set, self.split, self.annotations = data_set, split, Path(annotations)
        self._row = catalogue.data_set(data_set)
        self._entry = self._row.split(split)
        self.image_set = ImageSet.open(Path(images))
        name = catalogue.images_of(data_set, split)
        if self.image_set.name != name:
            raise ValueError(
                f"{images} holds the image set {self.image_set.name}, but {data_set} ({split}) is about {name}."
            )
        self.splits = Splits(name, catalogue.image_set(name).hold_out, self._entry.parts, split_file)

    def read(self, *tasks: str) -> Reading:
        """Read the records of tasks; those of other splits are among them (see `keeps`)."""
        assert self._row.reader is not None, "a data set that has tasks has a reader"
        options = reader_options(self._row.reader, self._entry.options, f"data_sets.{self.data_set}")
        return reader_of(self._row.reader).read(self.annotations, options, frozenset(tasks))

    def keeps(self, record: Record) -> bool:
        """Tell whether a record is of the split."""
        return self.splits.keep(record, self.split)

    def asked_for(self, image_id: str) -> bool:
        """Tell whether an image is stored or was looked for in vain; captions of others are of no concern."""
        return image_id in self.image_set.images or image_id in self.image_set.failed

    def place(self, image_id: str, record: Record | None = None) -> dict[str, Any]:
        """Return the columns of a stored image; a box is in pixels of the size that its record tells."""
        image = self.image_set.images[image_id]
        size = (image.get("original_width"), image.get("original_height"))
        box = record.box if record is not None else None
        width, height = record.size if record is not None and box is not None and record.size else size
        return {
            "image": self.image_set.key(image_id),
            "data_set": self.data_set,
            "image_width": width,
            "image_height": height,
            "box": None if box is None else list(box),
            "shard": image.get("shard"),
        }

    def records_of(
        self,
        catalogue: Catalogue,
        parts: Iterable[str],
        rng: random.Random,
        removed: Counter[str],
        clean: str = "paper",
    ) -> Iterator[tuple[Wording, Iterable[Record]]]:
        """Yield for each part how it is worded, and its records; those of a single part are read one after the other.

        What the reader left out is counted in `removed`, and so are records of other splits.
        """
        wordings = [Wording(catalogue, part, rng, clean) for part in parts]
        natives = [wording.native for wording in wordings]
        kept = self._kept(natives, removed)
        if len(wordings) == 1:
            yield wordings[0], kept
            return
        by_task: dict[str, list[Record]] = {task: [] for task in natives}
        for record in kept:
            by_task[record.task].append(record)
        for place, wording in enumerate(wordings):
            used_again = wording.native in natives[place + 1 :]
            yield wording, by_task[wording.native] if used_again else by_task.pop(wording.native)

    def _kept(self, tasks: Iterable[str], removed: Counter[str]) -> Iterator[Record]:
        """The records of the split; a box of an image whose size the data set does not tell has that it came in."""
        reading = self.read(*tasks)
        for record in reading.records:
            if not self.keeps(record):
                removed[HELD_OUT] += 1
                continue
            image = self.image_set.images.get(record.image_id) if record.box and not record.size else None
            if image is not None:
                record = replace(record, size=(image["original_width"], image["original_height"]))
            yield record
        removed.update(reading.removed)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """The options of commands that read parts: their sources, what is held out, and more rows of the catalogue."""
    parser.add_argument(
        "--source",
        nargs=3,
        action="append",
        required=True,
        metavar=("DATA_SET", "ANNOTATIONS", "IMAGES"),
        help="data set of a part, folder of its files, folder of its stored images; one for each data set",
    )
    parser.add_argument("--split-file", type=Path, help="JSON {image set: {split: [ids]}}; else by hash of the id")
    parser.add_argument("--catalogue", nargs="*", default=[], help="files or folders of rows beside the project's own")


def open_sources(
    catalogue: Catalogue,
    given: Sequence[Sequence[str]],
    shares: Mapping[str, float],
    split: SplitName,
    split_file: Path | None,
) -> dict[str, PartSource]:
    """Open the sources (data set, annotations, images) that the parts of a table need, by data set.

    Raises:
        ValueError: a part is of an unknown data set or of a task that its data set has not, or
            the sources are not those of the parts.
    """
    for part in shares:
        catalogue.native_task(part)
    needed = list(dict.fromkeys(split_part(part)[0] for part in shares))
    names = [name for name, *_ in given]
    for name in names:
        if name not in needed:
            catalogue.data_set(name)
            raise ValueError(f"--source {name}: no part is of this data set; {nearest(name, needed)}")
        if names.count(name) > 1:
            raise ValueError(f"--source {name} is given twice; give each data set once.")
    for name in needed:
        if name not in names:
            raise ValueError(
                f"There is no --source {name} ANNOTATIONS IMAGES, of which the parts {list(shares)} need it."
            )
    return {
        name: PartSource(catalogue, name, split, Path(annotations), Path(images), split_file)
        for name, annotations, images in given
    }


def exact_counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Share a total out in whole numbers that add up to it, by the largest remainder."""
    exact = {part: total * share / sum(shares.values()) for part, share in shares.items()}
    counts = {part: int(value + 1e-9) for part, value in exact.items()}
    by_remainder = sorted(shares, key=lambda part: (-(exact[part] - counts[part]), list(shares).index(part)))
    for part in by_remainder[: total - sum(counts.values())]:
        counts[part] += 1
    return counts


def most(available: Mapping[str, int], shares: Mapping[str, float]) -> int:
    """Return the largest total of which every part has its share without repeating any."""
    return min(int(available[part] / share + 1e-9) for part, share in shares.items())
