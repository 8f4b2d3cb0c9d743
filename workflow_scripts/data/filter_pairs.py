"""Merge the captions of several image sets, clean them, and keep those whose picture was fetched."""

import argparse
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from workflow_scripts.command_line import progress, run_command
from workflow_scripts.config.data import FilterSettings
from workflow_scripts.data.captions import Caption, read_captions
from workflow_scripts.data.exclusions import EXCLUDED, read_exclusions
from workflow_scripts.data.shards import ImageSet
from workflow_scripts.data.tables import PAIR_SCHEMA, sorted_counts, write_table
from workflow_scripts.data.text import collapse_whitespace, count_tokens, normalise_caption
from workflow_scripts.sources.registry import TABLE, load_registry

logger = logging.getLogger("filter_pairs")


def filter_captions(
    captions: Sequence[Caption],
    image_set: ImageSet,
    settings: FilterSettings,
    removed: Counter[str],
    excluded: frozenset[str] = frozenset(),
) -> Iterator[dict[str, str]]:
    """Yield the kept pairs of one image set as rows of the table; counts the others in `removed`.

    Captions are those of pictures that were asked for, fetched or not.
    """
    seen: set[tuple[str, str]] = set()
    for caption in progress(captions, len(captions), f"captions of {image_set.name}"):
        image_id = caption.image_id
        image = image_set.images.get(image_id)
        if image is None:
            removed["picture could not be fetched"] += 1
            continue
        if image_set.key(image_id) in excluded:
            removed[EXCLUDED] += 1
            continue
        text = (
            normalise_caption(caption.text)
            if settings.lower_case_without_punctuation
            else collapse_whitespace(caption.text)
        )
        tokens = count_tokens(text)
        if not tokens:
            removed["caption is empty"] += 1
        elif tokens < settings.minimum_tokens:
            removed["caption is too short"] += 1
        elif tokens > settings.maximum_tokens:
            removed["caption is too long"] += 1
        elif (image_id, text) in seen:
            removed["same caption for the same picture"] += 1
        else:
            seen.add((image_id, text))
            yield {
                "image": image_set.key(image_id),
                "query": "",
                "answer": text,
                "task": "caption",
                "source_id": caption.id,
                "shard": image["shard"],
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
    removed: Counter[str] = Counter()
    rows: list[dict[str, str]] = []
    sources: dict[str, dict[str, int]] = {}
    for name, annotations, images in arguments.source:
        captions, not_read = read_captions(registry.image_set(name).lists[0], Path(annotations))
        image_set = ImageSet.open(Path(images))
        if image_set.name != name:
            raise ValueError(f"{images} holds the image set {image_set.name}, but {name} was asked for.")
        removed.update(not_read)
        known = image_set.images.keys() | image_set.failed.keys()
        wanted = [caption for caption in captions if caption.image_id in known]
        before = len(rows)
        rows.extend(filter_captions(wanted, image_set, settings, removed, excluded))
        sources[name] = {
            "captions": len(captions) + sum(not_read.values()),
            "of_pictures_not_asked_for": len(captions) - len(wanted),
            "kept": len(rows) - before,
        }
    if not rows:
        raise ValueError(f"No caption passed the filter: {sorted_counts(removed)}. Check the filter's settings.")
    tokens = sum(count_tokens(row["answer"]) for row in rows)
    more = {
        "average_tokens": round(tokens / len(rows), 3),
        "removed": sorted_counts(removed),
        "sources": sources,
        "settings": settings.defining(),
    }
    manifest = write_table(arguments.output, "samples.parquet", rows, PAIR_SCHEMA, more)
    logger.info("%d pairs, %.1f words each; removed: %s", len(rows), manifest["average_tokens"], more["removed"])


if __name__ == "__main__":
    run_command(main)
