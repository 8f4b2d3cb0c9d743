"""The plan of scale `paper`: what a dry run says, in the environment of a machine without anything of it."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.chain import chains
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings
from workflow_scripts.planning.context import Context
from workflow_scripts.planning.machines import find_machine
from workflow_scripts.planning.stages import all_stages
from workflow_scripts.report.chromium import find_chromium

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
SCALE = load_settings(merge(CONFIG, {"scale": "paper"}), ROOT / "scales").values


def dry_run(results, *targets):
    """What a dry run prints for targets or with other options, commands included."""
    command = [sys.executable, "-m", "snakemake", *targets, "--dry-run", "--printshellcmds", "--cores", "64"]
    command += ["--config", "scale=paper", f"results={results}"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def blocks(results, *targets):
    """What Snakemake says of each planned job."""
    found = re.split(r"\n(?=rule |localrule )", dry_run(results, *targets))[1:]
    return [block for block in found if not re.match(r"(local)?rule (all|experiments):", block)]


def resources_of(block):
    return dict(re.findall(r"(\w+)=([^,\s]+)", re.search(r"resources: (.*)", block).group(1)))


def planned(results, *targets):
    """The planned jobs: rule and resources of each."""
    return [
        (re.match(r"(?:local)?rule (\w+):", block).group(1), resources_of(block)) for block in blocks(results, *targets)
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
    # Of `mlp`, of both with another Q-Former, of `low_rank`, `no_pretraining`, `mixed` and two other language models.
    assert len(trainings) == sum(rule == "train_adaptor" for rule, _ in jobs) + 3 + 1 + 2 + 2 + 1 + 2 + 2 * 2
    assert all(int(resources["gpu"]) > 0 for resources in trainings)
    # Snakemake counts the target too. The report as PDF is a job where there is a browser to print it.
    of_report = len(jobs) + 1 + (find_chromium() is None)
    told = [int(number) for number in re.findall(r"(\d+) jobs", (ROOT / "README.md").read_text())]
    assert {of_report, len(of_all) + 1} <= set(told), "the README tells how many there are"


def test_the_plan_takes_less_than_six_seconds_of_a_processor(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    dry_run(tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 6


def test_the_preflight_asks_for_access_to_the_models_of_the_report_and_to_no_others(tmp_path):
    (asked,) = re.findall(r"-m workflow_scripts\.preflight\.check --models (.*?) --settings", dry_run(tmp_path))
    assert asked.split() == [
        "blip2_feature_extractor", "clip_vit_large_patch14", "clip_vit_large_patch14_336", "llama_2_7b_chat",
    ]  # fmt: skip
    fetched = re.findall(r"-m workflow_scripts\.sources\.fetch_models --model (\S+)", dry_run(tmp_path, "experiments"))
    assert {"llama_2_13b_chat", "vicuna_7b"} < set(fetched)


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


def test_partitions_are_those_that_the_profile_names_for_jobs_with_and_without_gpus(tmp_path):
    for rule, resources in planned(tmp_path, "--default-resources", "slurm_partition=long", "gpu_partition=a100-80"):
        assert resources["slurm_partition"] == ("long" if resources["gpu"] == "0" else "a100-80"), rule


def test_a_repetition_of_a_training_that_ended_with_an_error_asks_for_no_gpu(tmp_path):
    chain = next(iter(chains(load_settings(merge(CONFIG, {"scale": "paper"}), ROOT / "scales")).values()))
    failed, other = (tmp_path / "paper" / chain.run(stage).path for stage in ("pretrain", "finetune"))
    failed.mkdir(parents=True)
    (failed / "failure.json").write_text("{}")
    options = ("--default-resources", "slurm_partition=long", "gpu_partition=a100-80", "--attempt")

    def asked(folder, attempt):
        (block,) = (block for block in blocks(tmp_path, *options, attempt) if f"key={folder.name}\n" in block)
        resources = resources_of(block)
        return resources["gpu"], resources["mem_mb"], resources["runtime"], resources["slurm_partition"]

    assert asked(failed, "1") == ("8", "256000", "1440", "a100-80")
    assert asked(failed, "2") == ("0", "2000", "10", "long")
    assert asked(other, "2") == ("6", "256000", "1440", "a100-80")


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


def test_the_disk_of_the_preflight_holds_what_the_plan_needs_and_the_models_of_all_experiments(tmp_path):
    config = merge(CONFIG, {"scale": "paper", "results": str(tmp_path)})
    settings = load_settings(config, ROOT / "scales")
    stages = all_stages(Context(settings, find_machine("8xa100"), job_hours=24))
    needed = sum(stage.disk_bytes for stage in stages)
    own = set(vars(SCALE.pretrained).values())
    others = {name for scale in settings.of_experiments.values() for name in vars(scale.pretrained).values()} - own
    assert others == {"llama_2_13b_chat", "vicuna_7b"}
    # Vicuna's weights are there as they came and as they are loaded, for a time.
    needed += sum(2 * load_catalogue().source(name).size for name in others)
    assert 0.9 * SCALE.preflight.disk_gb < needed / 1e9 < SCALE.preflight.disk_gb
