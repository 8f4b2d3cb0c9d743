"""Take one part out of a URL list, so that each part can be fetched by a job of its own."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command


def rows_of_part(count: int, part: int, parts: int, samples_per_shard: int) -> range:
    """Return the rows of a part (from 0) of a list of `count` rows; parts end where shards do.

    Raises:
        ValueError: if there are fewer shards than parts.
    """
    shards = math.ceil(count / samples_per_shard)
    if shards < parts:
        raise ValueError(
            f"A list of {count} pictures is {shards} shards of {samples_per_shard}, too few for {parts} parts; "
            "lower the number of parts of its image set, or download.samples_per_shard."
        )
    first, last = (number * shards // parts * samples_per_shard for number in (part, part + 1))
    return range(first, min(last, count))


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and write the part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url-list", type=Path, required=True, help="parquet with the columns id and url")
    parser.add_argument("--part", type=int, required=True, help="which part, from 0")
    parser.add_argument("--parts", type=int, required=True, help="how many there are")
    parser.add_argument("--samples-per-shard", type=int, required=True, help="as in the download's settings")
    parser.add_argument("--output", type=Path, required=True, help="parquet with the rows of the part")
    arguments = parser.parse_args(argv)
    table = pq.read_table(arguments.url_list)
    rows = rows_of_part(table.num_rows, arguments.part, arguments.parts, arguments.samples_per_shard)
    pq.write_table(table.slice(rows.start, len(rows)), arguments.output)


if __name__ == "__main__":
    run_command(main)
