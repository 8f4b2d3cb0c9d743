"""Draw samples to learn from: image, query and answer of several tasks in exact proportions."""

import argparse
import logging
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow_scripts.catalogue.benchmarks import split_part
from workflow_scripts.catalogue.load import Catalogue, load_catalogue
from workflow_scripts.command_line import run_command
from workflow_scripts.config.data import SamplesSettings
from workflow_scripts.data.exclusions import EXCLUDED, read_exclusions
from workflow_scripts.data.parts import NOT_FETCHED, PartSource, add_source_options, exact_counts, most, open_sources
from workflow_scripts.data.records import Record
from workflow_scripts.data.statements import Caption, make_statements
from workflow_scripts.data.tables import dataset_of, sorted_counts, write_dataset
from workflow_scripts.data.text import normalise_query
from workflow_scripts.data.wording import Wording

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger("build_mix")


class Candidates:
    """Samples of one source to draw from; queries that a template words are worded as they are read."""

    def __init__(self, source: PartSource, removed: Counter[str], excluded: frozenset[str] = frozenset()) -> None:
        self.source, self.removed, self.excluded = source, removed, excluded

    def of(self, wording: Wording, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
        """Yield the samples of a part, and count what has no image or no words."""
        if wording.of_statements:
            yield from self._statements(wording, records)
            return
        for record in records:
            if wording.about_captions and not self.source.asked_for(record.image_id):
                continue
            query = wording.query(record)
            answer = wording.clean(record, record.said)
            answers = wording.clean_all(record, record.spoken or record.answers)
            own = record if wording.task == wording.native else None
            more = {"answers": answers, "kind": wording.kind(own, query, answer), "group": record.group}
            yield from self._row(wording, record.id, record.image_id, query, answer, record, more)

    def _statements(self, wording: Wording, records: Iterable[Record]) -> Iterator[dict[str, Any]]:
        """Yield each caption as a statement that is true or not."""
        captions = [
            Caption(record.id, record.image_id, text)
            for record in records
            if (text := wording.caption(record)) and record.image_id in self.source.image_set.images
        ]
        for item in make_statements(captions, wording.templates, wording.rng):
            query, answer = normalise_query(item.query), item.answer
            more = {"answers": [answer], "kind": wording.kind(None, query, answer)}
            yield from self._row(wording, item.id, item.image_id, query, answer, None, more)

    def _row(
        self,
        wording: Wording,
        sample_id: str,
        image_id: str,
        query: str,
        answer: str,
        record: Record | None,
        more: Mapping[str, Any],
    ) -> Iterator[dict[str, Any]]:
        if image_id not in self.source.image_set.images:
            self.removed[NOT_FETCHED] += 1
        elif self.source.image_set.key(image_id) in self.excluded:
            self.removed[EXCLUDED] += 1
        elif not answer or (wording.needs_query and not query):
            self.removed["query or answer is empty"] += 1
        else:
            row = {"id": sample_id, "query": query, "answer": answer, "task": wording.task, **more}
            yield {**row, **self.source.place(image_id, record)}


def collect(
    catalogue: Catalogue,
    sources: Mapping[str, PartSource],
    shares: Mapping[str, float],
    seed: int,
    removed: Counter[str],
    excluded: frozenset[str] = frozenset(),
) -> dict[str, "Dataset"]:
    """Return the candidates of each part; what cannot be one is counted in `removed`."""
    found: dict[str, Dataset] = {}
    for data_set, source in sources.items():
        rng = random.Random(f"{seed} wording {data_set}")
        candidates = Candidates(source, removed, excluded)
        parts = [part for part in shares if split_part(part)[0] == data_set]
        for wording, records in source.records_of(catalogue, parts, rng, removed):
            found[wording.part] = dataset_of(candidates.of(wording, records))
    return {part: found[part] for part in shares}


def labels(parts: Iterable[str]) -> dict[str, str]:
    """Name each part by its task, and by its whole name where an earlier one has that task already."""
    named: dict[str, str] = {}
    for part in parts:
        task = split_part(part)[1]
        named[part] = part if task in named.values() else task
    return named


def draw(
    candidates: Mapping[str, "Dataset"], settings: SamplesSettings, halved: frozenset[str] = frozenset()
) -> "Dataset":
    """Draw the samples without replacement and shuffle them; too few of a part are a ValueError.

    Of the parts in `halved` as many are answered yes as no.
    """
    from datasets import concatenate_datasets

    shares = settings.shares
    pools = {part: _pools(there, part in halved) for part, there in candidates.items()}
    available = {part: len(pools[part]) * min(map(len, pools[part])) for part in pools}
    drawn = []
    named = labels(shares)
    for part, count in exact_counts(_total(available, settings), shares).items():
        if available[part] < count:
            raise ValueError(
                f"The mix wants {count} samples of {part}, but there are {available[part]}; lower count to "
                f"{int(available[part] / shares[part])} or the share of {part}, or fetch more data."
            )
        rng = random.Random(f"{settings.seed} draw {named[part]}")
        of_each = [count] if len(pools[part]) == 1 else [count - count // 2, count // 2]
        chosen = [row for pool, wanted in zip(pools[part], of_each, strict=True) for row in rng.sample(pool, wanted)]
        drawn.append(candidates[part].select(chosen))
    samples = concatenate_datasets(drawn)
    order = list(range(len(samples)))
    random.Random(f"{settings.seed} order").shuffle(order)
    return samples.select(order)


def _pools(there: "Dataset", halved: bool) -> list[Sequence[int]]:
    """The rows that are drawn from together: all, or those with the answer yes and those with no."""
    if not halved:
        return [range(len(there))]
    answers = there["answer"][:]
    return [[row for row, answer in enumerate(answers) if answer == word] for word in ("yes", "no")]


def _total(available: Mapping[str, int], settings: SamplesSettings) -> int:
    """How many samples there are to be: the wanted number, or all that the shares allow."""
    if settings.count is not None:
        return settings.count
    total = most(available, settings.shares)
    if not total:
        scarce = min(settings.shares, key=lambda part: available[part] / settings.shares[part])
        raise ValueError(
            f"There is no sample of {scarce}, or too few for its share of {settings.shares[scarce]}; fetch more data."
        )
    return total


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--source DATA_SET ANNOTATIONS IMAGES [...] --settings JSON --output DIR [--split-file F]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_source_options(parser)
    parser.add_argument("--settings", required=True, help="JSON of SamplesSettings, whose parts have shares")
    parser.add_argument("--exclude", type=Path, help="list of images to leave out (list_exclusions)")
    parser.add_argument("--output", type=Path, required=True, help="folder for samples.parquet and manifest.json")
    arguments = parser.parse_args(argv)
    settings = SamplesSettings.model_validate_json(arguments.settings)
    if not settings.is_drawn:
        raise ValueError("A mix needs the share of each part; a list of parts is filtered (filter_pairs).")
    catalogue = load_catalogue(arguments.catalogue)
    sources = open_sources(catalogue, arguments.source, settings.shares, "train", arguments.split_file)
    removed: Counter[str] = Counter()
    excluded = read_exclusions(arguments.exclude)
    candidates = collect(catalogue, sources, settings.shares, settings.seed, removed, excluded)
    halved = frozenset(part for part in settings.shares if catalogue.task(split_part(part)[1]).statements)
    named = labels(settings.shares)
    more = {
        "available": dict(sorted((named[part], len(there)) for part, there in candidates.items())),
        "removed": sorted_counts(removed),
        "settings": settings.defining(),
    }
    samples = draw(candidates, settings, halved)
    manifest = write_dataset(arguments.output, "samples.parquet", samples, more)
    logger.info("%d samples: %s", len(samples), manifest["tasks"])


if __name__ == "__main__":
    run_command(main)
