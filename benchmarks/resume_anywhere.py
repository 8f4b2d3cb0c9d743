"""Seconds from the start of the loader to the first batch, at several positions in three million samples.

    python -m benchmarks.resume_anywhere --output benchmarks/measured/resume_anywhere.json

A synthetic index: a table of samples, their token ids, and feature shards of the real shape (32 x 768) whose files
have holes in place of values, so that they take no disk. Everything is opened anew for each position; importing
libraries and loading the language model are not the loader's.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

BATCH, EPOCHS, TOKENS, SHARD = 192, 4, 24, 10_000


def make_index(folder: Path, count: int) -> None:
    """Write what a resumed training finds: samples.parquet, prepared/ and a feature store with a manifest."""
    import pyarrow
    import pyarrow.parquet

    from workflow_scripts.command_line import write_json
    from workflow_scripts.features.store import FeatureStores
    from workflow_scripts.identity import run_id, sha256_of_file

    store = folder / "features"
    store.mkdir(parents=True)
    shards = []
    for kind, width in (("query_output", 768), ("image_projection", 256)):
        for number, start in enumerate(range(0, count, SHARD)):
            rows = min(SHARD, count - start)
            with open(store / f"{kind}-{number:05d}.npy", "wb") as stream:
                header = {"descr": "<f2", "fortran_order": False, "shape": (rows, 32, width)}
                np.lib.format.write_array_header_1_0(stream, header)
                stream.truncate(stream.tell() + rows * 32 * width * 2)
            shards.append({"file": f"{kind}-{number:05d}.npy", "sha256": "0" * 64, "rows": rows})
    manifest = {"image_set": "synthetic", "images_sha256": "0", "extractor_sha256": "0", "count": count, "queries": 32}
    manifest |= {"width": 768, "projection_width": 256, "shards": shards, "keys_sha256": "0"}
    write_json(store / "manifest.json", manifest)
    columns = {name: pyarrow.array([""] * count) for name in ("query", "task")}
    columns["image"] = columns["id"] = pyarrow.array([f"synthetic/{n:09d}" for n in range(count)])
    columns["answer"] = pyarrow.array([f"{n:07d} " * 8 for n in range(count)])
    # Not packed: as many bytes as those of captions, which do not repeat themselves. The loader's checksum reads them.
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "samples.parquet", compression="none")
    prepared = folder / "prepared"
    prepared.mkdir()
    lengths = np.random.default_rng(0).integers(8, 2 * TOKENS - 8, count)
    ends = np.cumsum(lengths)
    bounds = np.stack([ends - lengths, ends - lengths + 4, ends - lengths + 6, ends], axis=1)
    np.save(prepared / "bounds.npy", bounds)
    np.save(prepared / "ids.npy", np.ones(int(ends[-1]), dtype=np.int32))
    np.save(prepared / "rows.npy", np.random.default_rng(1).permutation(count))
    fingerprint = {
        "samples": sha256_of_file(folder / "samples.parquet"),
        "features": [run_id(manifest) for manifest in FeatureStores.open([store]).manifests],
        "language_model": "0",
    }
    write_json(prepared / "prepared.json", fingerprint)


def first_batch(folder: Path, step: int) -> dict[str, float | str]:
    """Open everything and gather the batch of a step, as a resumed training does; return seconds and a checksum."""
    from workflow_scripts.features.image_inputs import CachedFeatures
    from workflow_scripts.training.order import BatchOrder
    from workflow_scripts.training.samples import Samples, prepare_samples

    started, used = time.perf_counter(), time.process_time()
    stores = CachedFeatures.open([folder / "features"])
    prepare_samples(folder / "prepared", folder / "samples.parquet", stores, None, "0")
    samples = Samples(folder / "prepared", folder / "samples.parquet", stores)
    opened = time.perf_counter()
    order = BatchOrder(samples.lengths, BATCH, 0, 32, samples.image_rows())
    indices = order.batch(step)
    samples.batch(indices)
    ended, spent = time.perf_counter(), time.process_time() - used
    digest = hashlib.sha256(indices.tobytes()).hexdigest()
    found = {"seconds": ended - started, "opening": opened - started, "finding": ended - opened, "cpu_seconds": spent}
    return found | {"indices": digest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    import torch  # noqa: F401 (imported by then in a training, and no part of the loader)

    from workflow_scripts.command_line import write_json

    epoch = arguments.samples // BATCH
    positions = [0, 1, epoch // 2, epoch - 1, epoch, 2 * epoch + epoch // 3, EPOCHS * epoch - 1]
    folder = Path(tempfile.mkdtemp(prefix="index-"))
    rows = []
    try:
        make_index(folder / "index", arguments.samples)
        found: dict[int, list[dict[str, float | str]]] = {step: [] for step in positions}
        for _ in range(arguments.repeats):
            for step in positions:
                found[step].append(first_batch(folder / "index", step))
    finally:
        shutil.rmtree(folder)
    for step, measured in found.items():
        assert len({one["indices"] for one in measured}) == 1, "a position gave two batches"
        row: dict[str, float] = {"step": step, "epoch": round(step / epoch, 3)}
        for name in ("seconds", "opening", "finding", "cpu_seconds"):
            row[name] = round(float(np.median([one[name] for one in measured])), 3)
        rows.append(row)
        print(row)
    result = {"benchmark": "resume_anywhere", "samples": arguments.samples, "batch_size": BATCH, "epochs": EPOCHS}
    result |= {"repeats": arguments.repeats, "load_average": round(os.getloadavg()[0], 1)}
    write_json(arguments.output, result | {"rows": rows})


if __name__ == "__main__":
    main()
