"""The plan of scale `paper`: what a dry run says, in the environment of a machine without anything of it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_scripts.config.settings import load_settings, merge
from workflow_scripts.sources.registry import load_registry

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SCALE = load_settings(merge(CONFIG, {"scale": "paper"}), ROOT / "scales").values


def planned(results, *targets):
    """The planned jobs: rule, threads and resources of each."""
    command = [sys.executable, "-m", "snakemake", *targets, "--dry-run", "--cores", "64", "--config", "scale=paper"]
    command.append(f"results={results}")
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    blocks = re.split(r"\n(?=rule |localrule )", done.stdout)[1:]
    return [
        (
            re.match(r"(?:local)?rule (\w+):", block).group(1),
            dict(re.findall(r"(\w+)=([^,\s]+)", re.search(r"resources: (.*)", block).group(1))),
        )
        for block in blocks
        if not re.match(r"(local)?rule (all|experiments):", block)
    ]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    return planned(tmp_path_factory.mktemp("results"))


def test_the_plan_has_fewer_than_a_thousand_jobs_each_with_time_memory_gpus_and_disk(jobs):
    assert 50 < len(jobs) < 1000
    for rule, resources in jobs:
        assert {"runtime", "mem_mb", "gpu", "disk_mb"} <= resources.keys(), rule


def test_all_experiments_are_planned_with_what_each_of_their_jobs_asks_for(jobs, tmp_path):
    of_all = planned(tmp_path, "experiments")
    assert len(of_all) < 1000
    for rule, resources in of_all:
        assert {"runtime", "mem_mb", "gpu", "disk_mb"} <= resources.keys(), rule
    trainings = [resources for rule, resources in of_all if rule == "train_adaptor"]
    # Of `mlp`, of both with another Q-Former, and of `no_pretraining`.
    assert len(trainings) == sum(rule == "train_adaptor" for rule, _ in jobs) + 3 + 1 + 2 + 1
    assert all(int(resources["gpu"]) > 0 for resources in trainings)


def test_jobs_ask_for_what_the_scale_says_and_gpu_jobs_for_the_partition_with_gpus(jobs):
    for rule, resources in jobs:
        settings = SCALE.jobs.get(rule)
        if settings is not None and settings.runtime is not None:
            assert resources["runtime"] == str(settings.runtime), rule
        assert ("slurm_partition" in resources) == (resources["gpu"] != "0"), rule
    with_gpus = {rule for rule, resources in jobs if resources["gpu"] != "0"}
    # The survey's answers are predictions like others, parts are image sets like others, and ask for what these do.
    asked = {rule for rule, settings in SCALE.jobs.items() if settings.gpu}
    assert with_gpus == asked | {"predict_survey", "extract_part"}
    assert {"preflight", "extract_features", "train_adaptor", "predict", "rank_images"} <= with_gpus


def test_the_processes_of_a_training_divide_its_batch(jobs):
    gpus = sorted({int(resources["gpu"]) for rule, resources in jobs if rule == "train_adaptor"})
    assert gpus == [6, 8], "192 samples on 8 GPUs, 12 samples on 6"


def test_every_rule_that_the_scale_names_exists():
    rules = {
        name
        for path in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^ *rule (\w+):", path.read_text(), re.M)
    }
    assert SCALE.jobs.keys() <= rules


def test_the_disk_of_the_preflight_holds_what_is_fetched():
    registry = load_registry()
    sources = [registry.source(name) for name in vars(SCALE.pretrained).values() if name]
    for name in SCALE.roles.image_sets():
        archive = SCALE.picture_archives.get(name) or registry.image_set(name).archive
        sources += [registry.source(entry.data_set) for entry in registry.image_set(name).lists]
        sources += [registry.source(archive)] if archive else []
    total = sum(source.disk for source in {s.title: s for s in sources}.values())
    pairs, bytes_of_features = 118_287 + 2_905_954 + 108_077 + 40_000, 32 * (768 + 256) * 2
    assert total / 1e9 + pairs * bytes_of_features / 1e9 < SCALE.preflight.disk_gb
    print(f"{total / 1e9:.0f} GB fetched, {pairs * bytes_of_features / 1e9:.0f} GB of features")
