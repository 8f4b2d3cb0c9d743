"""How fast the data path is, and how its memory grows with the number of samples.

    python -m benchmarks.data_path --output benchmarks/measured/data_path.json [--folder DIR]

Filter and merge read a table of captions and the outcomes of a download; features are written, the rows of a thousand
keys are found, and batches of 192 are read at random. Each measurement is a process of its own; memory is what the
process itself holds (RssAnon, the highest of 20 samples a second) above what it held before it began, without pages of
mapped files. Growth with the number of samples is shown on features of 1/64 of the real width, since those of a
million samples would take 65 GB; MB/s is measured at the real width, [32, 768] and [32, 256] in float16. Rates are by
the CPU time of the process, which other work on the machine does not change; `seconds` is what it took.
"""

import argparse
import json
import os
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

from workflow_scripts.command_line import write_json

ROOT = Path(__file__).resolve().parent.parent
QUERIES, WIDTH, PROJECTION, SHARD, BATCH = 32, 768, 256, 2_000, 192
BATCHES, KEYS = 500, 1_000
NARROW = 64
REAL_WIDTH_SAMPLES = 10_000


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

    source = ["--source", "conceptual_captions", "train", str(folder / "annotations"), str(folder / "images")]
    filter_pairs.main([*source, "--output", str(folder / "pairs")])
    return (folder / "annotations" / "Train_GCC-training.tsv").stat().st_size


def find_rows(folder: Path, count: int, scale: int) -> int:
    """Find the rows of a thousand keys, for which all keys are read; returns the bytes read."""
    from workflow_scripts.features.store import FeatureStores

    numbers = np.random.default_rng(0).integers(0, count, KEYS)
    rows = FeatureStores.open([folder / "features"]).locate([f"conceptual_captions/{n:09d}" for n in numbers])
    assert (rows == numbers).all(), "the keys were written in the order of their numbers"
    return (folder / "features" / "keys.json").stat().st_size


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
    """Read random batches of the features; returns the bytes read."""
    from workflow_scripts.features.store import FeatureStores

    stores = FeatureStores.open([folder / "features"])
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(BATCHES):
        read += stores.query_output_at(rng.integers(0, count, BATCH)).nbytes // 2  # of float16, given as float32
    return read


TASKS = {task.__name__: task for task in (filter_and_merge, write_features, find_rows, read_features)}


def run(task: str, folder: Path, count: int, scale: int) -> dict[str, Any]:
    """Measure one task in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.data_path", "--one", task, str(count), str(scale)]
    done = subprocess.run([*command, "--folder", str(folder)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    handled = BATCHES * BATCH if task == "read_features" else count
    row = {"task": task, "samples": count, "handled": handled, "width": WIDTH // scale, **found}
    print(
        f"{task:17} {count:>9,} {WIDTH // scale:>6} {found['seconds']:>8.1f} {found['cpu_seconds']:>8.1f}"
        f" {handled / found['cpu_seconds']:>11,.0f} {found['bytes'] / 1e6 / found['cpu_seconds']:>8.1f}"
        f" {found['memory_mb']:>8.0f}",
        flush=True,
    )
    return row


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="scratch folder with 3 GB of room; else a temporary one")
    parser.add_argument("--output", type=Path, help="JSON of what was measured")
    parser.add_argument("--one", nargs=3, metavar=("TASK", "COUNT", "SCALE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.one:
        task, count, scale = arguments.one
        import workflow_scripts.data.filter_pairs
        import workflow_scripts.features.store  # noqa: F401 (what imports take is not measured)

        print(json.dumps(measured(lambda: TASKS[task](arguments.folder, int(count), int(scale)))))
        return
    if wrong := [count for count in arguments.samples if count < SHARD or count % SHARD]:
        parser.error(f"--samples {wrong[0]}: it must be a multiple of {SHARD}, the pictures of a shard")
    result: dict[str, Any] = {"benchmark": "data_path", "load_average": round(os.getloadavg()[0], 1)}
    print("task                samples  width  seconds    CPU s samples/CPU s MB/CPU s  memory, MB")
    rows = []
    for count in sorted(arguments.samples):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            make_captions(Path(name), count)
            rows += [run(task, Path(name), count, NARROW) for task in TASKS]
            pairs = (Path(name) / "pairs" / "samples.parquet").stat().st_size
    result |= {"pairs_table": {"samples": count, "bytes": pairs}}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        rows += [run(task, Path(name), REAL_WIDTH_SAMPLES, 1) for task in ("write_features", "read_features")]
    if arguments.output:
        write_json(arguments.output, {**result, "rows": rows})


if __name__ == "__main__":
    main()
