"""Draw the questions of an evaluation from images that no training saw."""

import argparse
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.catalogue.benchmarks import split_part
from workflow_scripts.catalogue.data_sets import SPLIT_NAMES, SplitName
from workflow_scripts.catalogue.load import Catalogue, load_catalogue
from workflow_scripts.command_line import run_command
from workflow_scripts.config.data import BenchmarkSettings
from workflow_scripts.data.parts import HELD_OUT, PartSource, add_source_options, exact_counts, most, open_sources
from workflow_scripts.data.question_table import QuestionTable, Row
from workflow_scripts.data.tables import counts_of, dataset_of, sorted_counts, write_dataset

logger = logging.getLogger("build_benchmark")


def ask(
    catalogue: Catalogue,
    sources: Mapping[str, PartSource],
    shares: Mapping[str, float],
    settings: BenchmarkSettings,
    removed: Counter[str],
    clean: str = "paper",
) -> list[Row]:
    """Return the questions of all parts, one part after the other; what was left out is counted in `removed`.

    First all queries are worded, then questions are drawn, both by one generator and in the order of the parts.
    """
    about = " ".join(dict.fromkeys(source.image_set.name for source in sources.values()))
    split = next(iter(sources.values())).split
    rng = random.Random(f"{settings.seed} benchmark {about} {split}")
    tables: dict[str, QuestionTable] = {}
    for data_set in dict.fromkeys(split_part(part)[0] for part in shares):
        source = sources[data_set]
        parts = [part for part in shares if split_part(part)[0] == data_set]
        for wording, records in source.records_of(catalogue, parts, rng, removed, clean):
            tables[wording.part] = QuestionTable(source, wording, records, removed)
    counts: Mapping[str, int | None] = dict.fromkeys(shares, settings.questions)
    if len(shares) > 1:
        total = settings.questions
        if total is None:
            total = most({part: len(table) for part, table in tables.items()}, shares)
        counts = exact_counts(total, shares)
    rows = [row for part in shares for row in tables[part].draw(counts[part], rng)]
    if not rows:
        raise ValueError(f"There is no question about {about} ({split}): {sorted_counts(removed)}.")
    return _with_distinct_ids(rows)


def _with_distinct_ids(rows: list[Row]) -> list[Row]:
    """Put data set and task before the ids where two parts have one."""
    if len({row["id"] for row in rows}) == len(rows):
        return rows
    return [{**row, "id": f"{row['data_set']}/{row['task']}/{row['id']}"} for row in rows]


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--benchmark NAME --source DATA_SET ANNOTATIONS IMAGES [...] --settings JSON --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", required=True, help="benchmark of the catalogue")
    add_source_options(parser)
    parser.add_argument(
        "--split", choices=(*SPLIT_NAMES, "dev"), default="test", help="dev is another word for validation"
    )
    parser.add_argument("--settings", default="{}", help="JSON of BenchmarkSettings")
    parser.add_argument("--output", type=Path, required=True, help="folder for questions.parquet and manifest.json")
    arguments = parser.parse_args(argv)
    settings = BenchmarkSettings.model_validate_json(arguments.settings)
    catalogue = load_catalogue(arguments.catalogue)
    row = catalogue.benchmark(arguments.benchmark)
    shares = settings.shares or row.parts
    split: SplitName = "validation" if arguments.split == "dev" else arguments.split
    sources = open_sources(catalogue, arguments.source, shares, split, arguments.split_file)
    removed: Counter[str] = Counter()
    questions = dataset_of(ask(catalogue, sources, shares, settings, removed, row.clean))
    del removed[HELD_OUT]  # an evaluation asks about what is held out, and all else is of another split
    more = {
        "benchmark": arguments.benchmark,
        "split": split,
        "kinds": counts_of(questions.select_columns(["kind"]).to_pandas()["kind"]),
        "removed": sorted_counts(removed),
        "settings": settings.defining(),
    }
    manifest = write_dataset(arguments.output, "questions.parquet", questions, more)
    logger.info("%s: %d questions about %d images", arguments.benchmark, len(questions), manifest["images"])


if __name__ == "__main__":
    run_command(main)
