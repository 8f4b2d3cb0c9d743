"""The section of the benchmarks' README about the data path."""

from collections.abc import Callable, Sequence
from typing import Any

Table = Callable[[Sequence[str], Sequence[Sequence[object]]], str]

PAIRS = 3_000_000
WHAT = {
    "filter_and_merge": "filter and merge captions",
    "write_features": "write features",
    "find_rows": "find rows by key",
    "read_features": "read batches at random",
}


def data_path(result: dict[str, Any], table: Table) -> str:
    """The section of a run of data_path.py."""
    real = max(row["width"] for row in result["rows"])
    narrow = [row for row in result["rows"] if row["width"] < real]
    wide = {row["task"]: row for row in result["rows"] if row["width"] == real}
    memory = [(WHAT[task], *_memory([row for row in narrow if row["task"] == task])) for task in WHAT]
    sizes = [f"{row['samples']:,}" for row in narrow if row["task"] == "read_features"]
    largest = {row["task"]: row for row in narrow}
    rates = [_rate(WHAT["filter_and_merge"], largest["filter_and_merge"])]
    rates += [_rate(f"{WHAT[task]}, [32, {row['width']}]", row) for task, row in wide.items()]
    pairs = result["pairs_table"]
    a_sample = wide["write_features"]["bytes"] / wide["write_features"]["samples"]
    return "\n\n".join(
        [
            "## The data path",
            "`python -m benchmarks.data_path --output benchmarks/measured/data_path.json`, each line a process of its "
            f"own, at a load average of {result['load_average']} when it began. Memory in MB, above what the process "
            f"held before, with features of 1/{real // narrow[0]['width']} of the real width:",
            table(("step", *sizes, "bytes a sample more", f"MB for {PAIRS:,}"), memory),
            "What grows is a digest of eight bytes a sample, twice while they are counted, and its row where rows are "
            "found by key; below the size of a block, the block as well.",
            table(("step", "samples a CPU-second", "MB a CPU-second", f"core-minutes for {PAIRS:,}"), rates),
            f"On disk {PAIRS:,} pairs take {PAIRS * a_sample / 1e9:.0f} GB of features and "
            f"{PAIRS * pairs['bytes'] / pairs['samples'] / 1e6:.0f} MB of table. Reading is from the page cache; one "
            "epoch reads each picture once.",
        ]
    )


def _memory(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Memory at each size, bytes a sample between the two largest, and what that makes of the pairs."""
    before, last = rows[-2:]
    growth = (last["memory_mb"] - before["memory_mb"]) / (last["samples"] - before["samples"])
    expected = last["memory_mb"] + growth * (PAIRS - last["samples"])
    return [*(f"{row['memory_mb']:.0f}" for row in rows), f"{growth * 1e6:.0f}", f"{expected:.0f}"]


def _rate(name: str, row: dict[str, Any]) -> tuple[str, str, str, str]:
    samples = row["handled"] / row["cpu_seconds"]
    minutes = PAIRS / samples / 60
    return name, f"{samples:,.0f}", f"{row['bytes'] / 1e6 / row['cpu_seconds']:.1f}", f"{minutes:.1f}"
