"""A tiny random language model, random features, and samples: all that a training reads, in real formats."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_language_model import write_tiny_language_model

sys.path.insert(0, str(Path(__file__).parent))

from workflow_scripts.features.store import FeatureWriter
from workflow_scripts.identity import sha256_of_file

ROOT = Path(__file__).resolve().parents[2]
QUERIES, WIDTH, IMAGES = 4, 8, 40
NOUNS = ["kite", "tree", "dog", "cup", "boat", "hat"]
COLOURS = ["red", "blue", "green", "grey"]
SETTINGS = {
    "batch_size": 8,
    "epochs": 2,
    "learning_rate": 1e-2,
    "learning_rate_end": 1e-3,
    "zero_stage": 2,
    "checkpoint_every": 4,
    "log_every": 3,
    "length_window": 3,
}


def write_samples(path, rows):
    import pyarrow
    import pyarrow.parquet

    columns = ("image", "query", "answer", "task", "id")
    pyarrow.parquet.write_table(pyarrow.table({name: [row[name] for row in rows] for name in columns}), path)
    manifest = {"count": len(rows), "sha256": sha256_of_file(path)}
    path.with_suffix(".json").write_text(json.dumps(manifest))


def caption(index):
    words = f"a {COLOURS[index % 4]} {NOUNS[index % 6]}"
    return words + (f" left of a {COLOURS[index % 3]} {NOUNS[index % 5]}" if index % 2 else "")


def sample(index):
    image = f"set/{index % IMAGES:03d}"
    query = "" if index % 3 else "what is there?"
    return {"image": image, "query": query, "answer": caption(index), "task": "caption", "id": f"s{index}"}


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with language_model/, features/set/, samples.parquet and .json, validation.parquet."""
    folder = tmp_path_factory.mktemp("world")
    texts = [caption(index) for index in range(60)] + ["what is there?"]
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "initializer_range": 0.2}
    write_tiny_language_model(folder / "language_model", texts, **sizes)
    definition = {"image_set": "set", "images_sha256": "a", "extractor_sha256": "x", "transform": "none"}
    writer = FeatureWriter(folder / "features" / "set", definition)
    generator = np.random.default_rng(0)
    for shard in range(2):
        keys = [f"set/{index:03d}" for index in range(shard * 20, shard * 20 + 20)]
        writer.write_shard(
            shard, keys, generator.normal(size=(20, QUERIES, WIDTH)), generator.normal(size=(20, QUERIES, 3))
        )
    writer.finish()
    write_samples(folder / "samples.parquet", [sample(index) for index in range(60)])
    write_samples(folder / "validation.parquet", [sample(index) for index in range(60, 80)])
    return folder


class Trainer:
    """Calls train_adaptor on the tiny world, in this process or as a command."""

    def __init__(self, world):
        self.world = world

    def arguments(self, run_folder, settings=None, samples=None, **options):
        samples = samples or self.world / "samples.parquet"
        values = {
            "--run-folder": run_folder,
            "--stage": "pretrain",
            "--samples": samples,
            "--samples-manifest": samples.with_suffix(".json"),
            "--language-model": self.world / "language_model",
            "--settings": json.dumps(SETTINGS | (settings or {})),
            "--identity": json.dumps({"stage": "pretrain", "name": "tiny"}),
            "--code-digest": "one",
        }
        if (settings or {}).get("features") == "online":
            values |= {"--images": self.world / "images", "--feature-extractor": self.world / "extractor"}
        else:
            values["--features"] = self.world / "features" / "set"
        values |= {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        return [str(part) for pair in values.items() for part in pair]

    def here(self, run_folder, settings=None, **options):
        from workflow_scripts.training.train_adaptor import main

        main(self.arguments(run_folder, settings, **options))
        return run_folder

    def start(self, run_folder, settings=None, processes=1, environment=None, **options):
        program = [sys.executable]
        if processes > 1:
            program += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        program += ["-m", "workflow_scripts.training.train_adaptor", *self.arguments(run_folder, settings, **options)]
        variables = os.environ | {"OMP_NUM_THREADS": "1"} | (environment or {})
        return subprocess.Popen(
            program,
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def command(self, run_folder, settings=None, **options):
        process = self.start(run_folder, settings, **options)
        output, _ = process.communicate(timeout=900)
        return process.returncode, output


@pytest.fixture(scope="session")
def trainer(world):
    return Trainer(world)


_CAP_SYS_ADMIN = 21


def _may_mount():
    """Whether this process has the one right that mounting needs; containers often withhold it, also from root."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    return int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of four megabytes; where mounting is allowed, a mount that fails is a failure."""
    if not _may_mount():
        pytest.skip("a small file system to fill needs the right to mount (CAP_SYS_ADMIN)")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
