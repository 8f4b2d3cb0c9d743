"""Merge the captions of several image sets, clean them, and keep those whose picture was fetched."""

import argparse
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.command_line import progress, run_command
from workflow_scripts.config.data import FilterSettings
from workflow_scripts.data.captions import Caption, iterate_captions
from workflow_scripts.data.exclusions import EXCLUDED, read_exclusions
from workflow_scripts.data.outcomes import NOT_ASKED_FOR, Outcomes
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.data.table_writer import TableWriter
from workflow_scripts.data.tables import PAIR_SCHEMA, sorted_counts
from workflow_scripts.data.text import collapse_whitespace, count_tokens, normalise_caption
from workflow_scripts.sources.registry import TABLE, load_registry

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
    captions: Iterable[Caption],
    outcomes: Outcomes,
    image_set: str,
    settings: FilterSettings,
    counts: SourceCounts,
    excluded: frozenset[str] = frozenset(),
) -> Iterator[dict[str, str]]:
    """Yield the kept pairs of one image set as rows of the table; counts the others in `counts.removed`.

    Of equal captions of one picture the first stays; what a picture's captions were is forgotten with the picture where
    captions come in the order of pictures.
    """
    seen: set[tuple[str, str]] = set()
    current = ""
    for caption in captions:
        counts.captions += 1
        image_id = caption.image_id
        shard = outcomes.of(image_id)
        if shard == NOT_ASKED_FOR:
            counts.not_asked_for += 1
            continue
        if shard is None:
            counts.removed["picture could not be fetched"] += 1
            continue
        if f"{image_set}/{image_id}" in excluded:
            counts.removed[EXCLUDED] += 1
            continue
        text = (
            normalise_caption(caption.text)
            if settings.lower_case_without_punctuation
            else collapse_whitespace(caption.text)
        )
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
            yield {
                "image": f"{image_set}/{image_id}",
                "query": "",
                "answer": text,
                "task": "caption",
                "source_id": caption.id,
                "shard": shard,
            }


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--source IMAGE_SET ANNOTATIONS IMAGES [--source ...] --settings JSON --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source",
        nargs=3,
        action="append",
        required=True,
        metavar=("IMAGE_SET", "ANNOTATIONS", "IMAGES"),
        help="registered image set, folder of its annotations, folder of its pictures; may be given several times",
    )
    parser.add_argument("--settings", default="{}", help="JSON of FilterSettings")
    parser.add_argument("--output", type=Path, required=True, help="folder for samples.parquet and manifest.json")
    parser.add_argument("--exclude", type=Path, help="list of pictures to leave out (list_exclusions)")
    parser.add_argument("--registry", type=Path, default=TABLE)
    arguments = parser.parse_args(argv)
    settings = FilterSettings.model_validate_json(arguments.settings)
    registry = load_registry(arguments.registry)
    excluded = read_exclusions(arguments.exclude)
    found: dict[str, tuple[SourceCounts, Counter[str]]] = {}

    def pairs() -> Iterator[dict[str, str]]:
        for name, annotations, images in arguments.source:
            captions, not_read, in_order = iterate_captions(registry.image_set(name).lists[0], Path(annotations))
            image_set = ImageSet.open(Path(images))
            if image_set.name != name:
                raise ValueError(f"{images} holds the image set {image_set.name}, but {name} was asked for.")
            counts = SourceCounts()
            found[name] = (counts, not_read)
            shown = progress(captions, None, f"captions of {name}")
            outcomes = Outcomes(image_set.folder, in_order)
            yield from filter_captions(shown, outcomes, name, settings, counts, excluded)

    with TableWriter(arguments.output, "samples.parquet", PAIR_SCHEMA) as table:
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
