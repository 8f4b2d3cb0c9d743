"""Put the samples of several tables into one: captions and questions together, for pretraining on both."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command
from workflow_scripts.data.table_writer import BLOCK, TableWriter
from workflow_scripts.data.tables import SCHEMA

logger = logging.getLogger("merge_samples")


def read_blocks(path: Path) -> Iterator[pa.Table]:
    """Yield the samples of a table in its order; a file of another layout is a ValueError that names it."""
    with pq.ParquetFile(path) as file:
        missing = set(SCHEMA.names) - set(file.schema_arrow.names)
        if missing:
            raise ValueError(f"{path} is no table of samples: it lacks the columns {', '.join(sorted(missing))}.")
        for batch in file.iter_batches(BLOCK, columns=SCHEMA.names):
            yield pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--samples TABLE [TABLE ...] --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="samples.parquet of pairs and mixes")
    parser.add_argument("--output", type=Path, required=True, help="folder for samples.parquet and manifest.json")
    arguments = parser.parse_args(argv)
    parts: dict[str, int] = {}
    with TableWriter(arguments.output, "samples.parquet") as table:
        for path in arguments.samples:
            before = table.count
            for block in read_blocks(path):
                table.append(block)
            parts[path.parent.name] = table.count - before
        manifest = table.finish({"parts": parts, "removed": {}})
    logger.info("%d samples: %s", manifest["count"], manifest["tasks"])


if __name__ == "__main__":
    run_command(main)
