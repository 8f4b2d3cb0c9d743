"""Scale `paper` by its own rules, from a mirror of the outside in miniature: executed, not only drawn."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from paper_mirror import KARPATHY_TEST, SHARDS_OF_CC3M, build_mirror

pytestmark = pytest.mark.slow


def snakemake(project, mirror, *arguments):
    """Run the workflow in a copy of the project as a user would, with values from one more file."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", "paper_small.yaml"]
    command += ["--config", f"mirror={mirror}"]
    return subprocess.run(
        command, cwd=project.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=3000
    )


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    build_mirror(folder)
    return folder / "web"


@pytest.fixture(scope="module")
def finished_paper(tmp_path_factory, mirror, copy_of_project):
    """The results of the whole run."""
    project = copy_of_project(tmp_path_factory.mktemp("paper") / "project")
    shutil.copyfile(Path(__file__).with_name("paper_small.yaml"), project.folder / "paper_small.yaml")
    done = snakemake(project, mirror)
    assert done.returncode == 0, done.stdout[-8000:]
    return project.folder / "results/paper"


def only(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def test_the_whole_scale_runs_to_its_report_with_every_figure_of_it(finished_paper):
    assert (finished_paper / "report/index.html").stat().st_size > 10_000
    figures = {entry["id"] for entry in json.loads((finished_paper / "report/results.json").read_text())}
    assert {
        "coco_retrieval.blip2.r_at_1",
        "coco_retrieval.clip.r_at_1",
        "visual_genome.exact_match.before",
        "visual_genome.exact_match.after",
        "visual_genome.exact_match.after@clean",
        "gqa.exact_match.after",
        "okvqa.accuracy.zero_shot",
        "okvqa.accuracy.finetuned",
        "refcoco.accuracy_iou50",
    } <= figures
    assert len(list(finished_paper.glob("*/*/adaptor.safetensors"))) == 6


def test_everything_was_fetched_by_its_real_address_and_verified(finished_paper, mirror):
    checksums = json.loads((mirror / "checksums.json").read_text())
    fetched = {}
    for manifest in finished_paper.glob("annotations/*/manifest.json"):
        for entry in json.loads(manifest.read_text())["files"].values():
            fetched[entry["url"]] = entry["sha256"]
    assert len(fetched) > SHARDS_OF_CC3M
    assert {url: checksums[url] for url in fetched} == fetched
    extractor = only(finished_paper, "models/feature_extractor-*")
    assert {path.name for path in extractor.iterdir()} == {
        "SHA256SUMS", "blip2_qformer.pth", "config.json", "vision_encoder.pth", "vocab.txt",
    }  # fmt: skip


def test_pictures_of_the_snapshot_are_counted_with_those_that_are_none(finished_paper):
    manifest = json.loads(only(finished_paper, "images/cc3m_snapshot-*/manifest.json").read_text())
    broken = len(range(7, SHARDS_OF_CC3M, 100))
    assert manifest["requested"] == SHARDS_OF_CC3M
    assert sum(manifest["failures"].values()) == broken
    pairs = json.loads((sorted(finished_paper.glob("data/pairs-*/manifest.json"))[0]).read_text())
    assert pairs["removed"]["caption is empty"] >= len(range(9, SHARDS_OF_CC3M, 100))


def test_odd_files_lose_nothing_that_the_real_ones_would_not_lose(finished_paper):
    manifests = {
        path.parent.name.rpartition("-")[0]: json.loads(path.read_text())
        for path in finished_paper.glob("images/*/manifest.json")
    }
    failures = {name: manifest["failures"] for name, manifest in manifests.items() if manifest["failures"]}
    assert failures.pop("cc3m_snapshot")
    broken = "truncated or damaged picture"
    assert failures == {"coco_train2014": {"not a picture": 1, broken: 1}, "visual_genome": {broken: 2}}
    assert manifests["minigpt4"]["count"] == 24
    (repeated,) = (key for key in stored(finished_paper, "cc3m_snapshot") if "-" in key)
    assert repeated == "000200000-cc3m-train-0021"
    sizes = {row["width"] for row in stored(finished_paper, "coco_karpathy_test").values()}
    assert sizes == {48}, "Karpathy's test images are as they came, where others are made 32 pixels small"
    assert {row["width"] for row in stored(finished_paper, "coco_val2014").values()} == {32}


def stored(results, image_set):
    """The stored images of a set, by id."""
    rows = pq.read_table(only(results, f"images/{image_set}-*/images.parquet")).to_pylist()
    return {row["id"]: row for row in rows}


def test_the_clean_experiment_trains_on_no_picture_that_evaluations_ask_about(finished_paper):
    lists = [json.loads(path.read_text()) for path in finished_paper.glob("exclusions/exclusions-*/exclusions.json")]
    assert [excluded["evaluations"]["karpathy test"] for excluded in lists] == [KARPATHY_TEST] * 2
    of_sets = {name: pictures for excluded in lists for name, pictures in excluded["image_sets"].items()}
    assert of_sets.keys() == {"coco_train2017", "visual_genome"}, "each table of samples has a list of its own"
    train = set(of_sets["coco_train2017"])
    assert (len(train), len(of_sets["visual_genome"])) == (KARPATHY_TEST, 2)
    images = [set(pq.read_table(path)["image"].to_pylist()) for path in finished_paper.glob("data/pairs-*/*.parquet")]
    report, clean = sorted(images, key=len, reverse=True)
    assert report - clean == {f"coco_train2017/{key}" for key in train}
    mixes = [json.loads(path.read_text()) for path in finished_paper.glob("data/visual_genome_mix-*/manifest.json")]
    assert Counter("picture is one of an evaluation" in mix["removed"] for mix in mixes) == {True: 1, False: 1}


def test_the_preflight_came_first_and_wrote_down_what_it_found(finished_paper):
    found = json.loads((finished_paper / "preflight/checked.json").read_text())
    assert found["models"]["llama_2_7b_chat"] == "from a mirror"
    first = min(path.stat().st_mtime_ns for path in finished_paper.glob("annotations/*/manifest.json"))
    assert (finished_paper / "preflight/checked.json").stat().st_mtime_ns < first
