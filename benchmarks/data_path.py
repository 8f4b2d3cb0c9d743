"""How fast the data path is, and how its memory grows with the number of samples.

    python benchmarks/data_path.py [--samples 10000 100000 1000000] [--folder DIR]

Filter and merge read a table of captions and the outcomes of a download, features are written and read at random in
batches of 192. Each measurement is a process of its own; memory is what the process itself holds (RssAnon, the highest
of 20 samples a second) above what it held before it began, without pages of mapped files. Growth with the number of
samples is shown on features of 1/64 of the real width, since those of a million samples would take 65 GB; MB/s is
measured at the real width, [32, 768] and [32, 256] in float16. Rates are by the CPU time of the process, which other
work on the machine does not change; `seconds` is what it took.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

QUERIES, WIDTH, PROJECTION, SHARD, BATCH = 32, 768, 256, 2_000, 192
NARROW = 64
PAPER = 3_000_000


def own_memory() -> float:
    """Return what this process holds in anonymous memory, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Return seconds, bytes that `work` says it moved, and the highest memory above that at the start, in MB."""
    before, highest, done = own_memory(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            highest[0] = max(highest[0], own_memory() - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, cpu = time.monotonic(), time.process_time()
    moved = work()
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    done.set()
    watcher.join()
    return {"seconds": seconds, "cpu_seconds": cpu, "bytes": moved, "memory_mb": max(highest[0], own_memory() - before)}


def make_captions(folder: Path, count: int) -> None:
    """Write a table of captions as Conceptual Captions has it, and outcomes in which every fifth picture failed."""
    (folder / "annotations").mkdir()
    with (folder / "annotations" / "Train_GCC-training.tsv").open("w") as stream:
        for number in range(count):
            stream.write(f"a red boat number {number} , far out at sea .\thttp://photos.example/{number}.jpg\n")
    images = folder / "images"
    images.mkdir()
    schema = pa.schema([("id", pa.string()), ("shard", pa.string())])
    with (
        pq.ParquetWriter(images / "images.parquet", schema) as there,
        pq.ParquetWriter(images / "failures.parquet", pa.schema([("id", pa.string())])) as failed,
    ):
        for first in range(0, count, 100_000):
            numbers = range(first, min(first + 100_000, count))
            ids = [f"{number:09d}" for number in numbers if number % 5]
            shards = [f"{number // SHARD:05d}" for number in numbers if number % 5]
            there.write_table(pa.table({"id": ids, "shard": shards}, schema=schema))
            failed.write_table(pa.table({"id": [f"{number:09d}" for number in numbers if not number % 5]}))
    (images / "manifest.json").write_text(json.dumps({"image_set": "conceptual_captions"}))


def filter_and_merge(folder: Path, count: int, scale: int) -> int:
    """Filter the captions of `make_captions`; returns the bytes of the table that was read."""
    from workflow_scripts.data import filter_pairs

    source = ["--source", "conceptual_captions", str(folder / "annotations"), str(folder / "images")]
    filter_pairs.main([*source, "--output", str(folder / "pairs")])
    return (folder / "annotations" / "Train_GCC-training.tsv").stat().st_size


def write_features(folder: Path, count: int, scale: int) -> int:
    """Write features of `count` images; returns the bytes written."""
    from workflow_scripts.features.store import FeatureWriter

    rng = np.random.default_rng(0)
    query_output = rng.standard_normal((SHARD, QUERIES, WIDTH // scale), dtype=np.float32)
    projection = rng.standard_normal((SHARD, QUERIES, PROJECTION // scale), dtype=np.float32)
    definition = {"image_set": "conceptual_captions", "extractor_sha256": "0", "images_sha256": "0", "transform": ""}
    writer = FeatureWriter(folder / "features", definition)
    for index in range(count // SHARD):
        keys = [f"conceptual_captions/{number:09d}" for number in range(index * SHARD, (index + 1) * SHARD)]
        writer.write_shard(index, keys, query_output, projection)
    writer.finish()
    return count * QUERIES * (WIDTH + PROJECTION) // scale * 2


def read_features(folder: Path, count: int, scale: int) -> int:
    """Read 500 random batches of the features; returns the bytes read."""
    from workflow_scripts.features.store import FeatureStores

    stores = FeatureStores.open([folder / "features"])
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(500):
        read += stores.query_output_at(rng.integers(0, count, BATCH)).astype(np.float16).nbytes
    return read


TASKS = {"filter_and_merge": filter_and_merge, "write_features": write_features, "read_features": read_features}


def run(task: str, folder: Path, count: int, scale: int) -> dict[str, Any]:
    """Measure one task in a process of its own."""
    command = [sys.executable, __file__, "--one", task, str(count), str(scale), "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    samples = 500 * BATCH if task == "read_features" else count
    print(
        f"{task:17} {count:>9,} {WIDTH // scale:>6} {found['seconds']:>8.1f} {found['cpu_seconds']:>8.1f}"
        f" {samples / found['cpu_seconds']:>11,.0f} {found['bytes'] / 1e6 / found['cpu_seconds']:>8.1f}"
        f" {found['memory_mb']:>8.0f}",
        flush=True,
    )
    return {**found, "samples": samples}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="scratch folder with 3 GB of room; else a temporary one")
    parser.add_argument("--one", nargs=3, metavar=("TASK", "COUNT", "SCALE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.one:
        task, count, scale = arguments.one
        import workflow_scripts.data.filter_pairs
        import workflow_scripts.features.store  # noqa: F401 (what imports take is not measured)

        print(json.dumps(measured(lambda: TASKS[task](arguments.folder, int(count), int(scale)))))
        return
    print("task                samples  width  seconds    CPU s samples/CPU s MB/CPU s  memory, MB")
    last: dict[str, dict[str, Any]] = {}
    for count in arguments.samples:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            make_captions(folder, count)
            for task in TASKS:
                last[task] = run(task, folder, count, NARROW)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for task in ("write_features", "read_features"):
            last[f"{task}, real width"] = run(task, Path(name), 10_000, 1)
    size = PAPER * QUERIES * (WIDTH + PROJECTION) * 2 / 1e9
    print(f"\nextrapolated to {PAPER:,} pairs: {size:.0f} GB of features, of them {size * 3 / 4:.0f} GB query output;")
    for task in ("filter_and_merge", "write_features, real width"):
        print(f"{task}: {PAPER * last[task]['cpu_seconds'] / last[task]['samples'] / 60:.1f} minutes of one core")
    rate = last["read_features, real width"]["samples"] / last["read_features, real width"]["cpu_seconds"]
    print(f"one epoch of reading at random, from the page cache: {PAPER / rate / 60:.1f} minutes")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
