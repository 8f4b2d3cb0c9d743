"""Put the samples of several tables into one: captions and questions together, for pretraining on both."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.command_line import run_command
from workflow_scripts.data.table_writer import TableWriter
from workflow_scripts.data.tables import SAMPLE_SCHEMA

logger = logging.getLogger("merge_samples")
BLOCK = 65_536


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the samples of a table in its order; a file of another layout is a ValueError that names it."""
    with pq.ParquetFile(path) as file:
        missing = set(SAMPLE_SCHEMA.names) - set(file.schema_arrow.names)
        if missing:
            raise ValueError(f"{path} is no table of samples: it lacks the columns {', '.join(sorted(missing))}.")
        for batch in file.iter_batches(BLOCK, columns=SAMPLE_SCHEMA.names):
            yield from batch.to_pylist()


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--samples TABLE [TABLE ...] --output DIR`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="samples.parquet of pairs and mixes")
    parser.add_argument("--output", type=Path, required=True, help="folder for samples.parquet and manifest.json")
    arguments = parser.parse_args(argv)
    parts: dict[str, int] = {}
    with TableWriter(arguments.output, "samples.parquet", SAMPLE_SCHEMA) as table:
        for path in arguments.samples:
            before = table.count
            table.write(read_rows(path))
            parts[path.parent.name] = table.count - before
        manifest = table.finish({"parts": parts, "removed": {}})
    logger.info("%d samples: %s", manifest["count"], manifest["tasks"])


if __name__ == "__main__":
    run_command(main)
