"""Merge the captions of several data sets, clean them, and keep those whose image was fetched."""

import argparse
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.catalogue.benchmarks import CAPTION
from workflow_scripts.catalogue.data_sets import SPLIT_NAMES
from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.command_line import progress, run_command
from workflow_scripts.config.data import FilterSettings
from workflow_scripts.data.exclusions import EXCLUDED, read_exclusions
from workflow_scripts.data.outcomes import NOT_ASKED_FOR, Outcomes
from workflow_scripts.data.parts import HELD_OUT, NOT_FETCHED, PartSource
from workflow_scripts.data.records import Record
from workflow_scripts.data.table_writer import TableWriter
from workflow_scripts.data.tables import sorted_counts
from workflow_scripts.data.text import collapse_whitespace, count_tokens, normalise_caption

logger = logging.getLogger("filter_pairs")


@dataclass
class SourceCounts:
    """What became of the captions of one image set."""

    captions: int = 0
    not_asked_for: int = 0
    kept: int = 0
    tokens: int = 0
    removed: Counter[str] = field(default_factory=Counter)


def filter_captions(
    records: Iterable[Record],
    source: PartSource,
    outcomes: Outcomes,
    settings: FilterSettings,
    counts: SourceCounts,
    excluded: frozenset[str] = frozenset(),
) -> Iterator[dict[str, Any]]:
    """Yield the kept pairs of one source as rows of the table; counts the others in `counts.removed`.

    Of equal captions of one image the first stays; what an image's captions were is forgotten with the image where
    captions come in the order of images.
    """
    seen: set[tuple[str, str]] = set()
    current = ""
    for record in records:
        counts.captions += 1
        image_id = record.image_id
        shard = outcomes.of(image_id)
        if shard == NOT_ASKED_FOR:
            counts.not_asked_for += 1
            continue
        if not source.keeps(record):
            counts.removed[HELD_OUT] += 1
            continue
        if shard is None:
            counts.removed[NOT_FETCHED] += 1
            continue
        key = source.image_set.key(image_id)
        if key in excluded:
            counts.removed[EXCLUDED] += 1
            continue
        clean = normalise_caption if settings.lower_case_without_punctuation else collapse_whitespace
        text = clean(record.said)
        tokens = count_tokens(text)
        if outcomes.in_order and image_id != current:
            seen.clear()
            current = image_id
        if not tokens:
            counts.removed["caption is empty"] += 1
        elif tokens < settings.minimum_tokens:
            counts.removed["caption is too short"] += 1
        elif tokens > settings.maximum_tokens:
            counts.removed["caption is too long"] += 1
        elif (image_id, text) in seen:
            counts.removed["same caption for the same picture"] += 1
        else:
            seen.add((image_id, text))
            counts.kept += 1
            counts.tokens += tokens
            row = {"id": record.id, "image": key, "query": "", "answer": text, "task": CAPTION, "kind": CAPTION}
            yield {**row, "data_set": source.data_set, "shard": shard}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--source DATA_SET SPLIT ANNOTATIONS IMAGES [--source ...] --settings JSON --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source",
        nargs=4,
        action="append",
        required=True,
        metavar=("DATA_SET", "SPLIT", "ANNOTATIONS", "IMAGES"),
        help="data set of the catalogue, its split, folder of its files, folder of its stored images; may be repeated",
    )
    parser.add_argument("--settings", default="{}", help="JSON of FilterSettings")
    parser.add_argument("--output", type=Path, required=True, help="folder for samples.parquet and manifest.json")
    parser.add_argument("--exclude", type=Path, help="list of images to leave out (list_exclusions)")
    parser.add_argument("--catalogue", nargs="*", default=[], help="files or folders of rows beside the project's own")
    arguments = parser.parse_args(argv)
    settings = FilterSettings.model_validate_json(arguments.settings)
    catalogue = load_catalogue(arguments.catalogue)
    excluded = read_exclusions(arguments.exclude)
    sources = []
    for data_set, split, annotations, images in arguments.source:
        catalogue.native_task(f"{data_set}/{CAPTION}")
        if split not in SPLIT_NAMES:
            raise ValueError(f"--source {data_set} {split}: a split is one of {', '.join(SPLIT_NAMES)}.")
        sources.append(PartSource(catalogue, data_set, split, Path(annotations), Path(images)))
    found: dict[str, tuple[SourceCounts, Counter[str]]] = {}

    def pairs() -> Iterator[dict[str, Any]]:
        for source in sources:
            reading = source.read(CAPTION)
            name = source.image_set.name
            name = f"{source.data_set} ({name})" if name in found else name
            counts = SourceCounts()
            found[name] = (counts, reading.removed)
            shown = progress(reading.records, None, f"captions of {name}")
            outcomes = Outcomes(source.image_set.folder, reading.in_order)
            yield from filter_captions(shown, source, outcomes, settings, counts, excluded)

    with TableWriter(arguments.output, "samples.parquet") as table:
        table.write(pairs())
        removed = sum((counts.removed + not_read for counts, not_read in found.values()), Counter())
        if not table.count:
            raise ValueError(f"No caption passed the filter: {sorted_counts(removed)}. Check the filter's settings.")
        more = {
            "average_tokens": round(sum(counts.tokens for counts, _ in found.values()) / table.count, 3),
            "removed": sorted_counts(removed),
            "sources": {
                name: {
                    "captions": counts.captions + sum(not_read.values()),
                    "of_pictures_not_asked_for": counts.not_asked_for,
                    "kept": counts.kept,
                }
                for name, (counts, not_read) in found.items()
            },
            "settings": settings.defining(),
        }
        manifest = table.finish(more)
    logger.info("%d pairs, %.1f words each; removed: %s", table.count, manifest["average_tokens"], more["removed"])


if __name__ == "__main__":
    run_command(main)
