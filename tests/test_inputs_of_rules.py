"""A rule reads what its product is made from: for every experiment, whatever section of the settings it changes."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from workflow_scripts.chain import all_products, chains
from workflow_scripts.config.merging import merge
from workflow_scripts.config.settings import load_settings
from workflow_scripts.evaluations import evaluations
from workflow_scripts.tracking.planned_jobs import parse

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
STAGES = ["pretrain", "finetune", "finetune_okvqa", "finetune_refcoco"]
CHANGES = {
    "tiny": {
        "world": {"seed": 2},
        "download": {"jpeg_quality": 90},
        "image_sizes": {"coco_val2017": "original"},
        "filter": {"maximum_tokens": 90},
        "maximum_images": {"coco_train2014": 20},
        "parts": {"coco_train2017": 2},
        "splits": None,
        "samples": {"okvqa_mix": {"seed": 5}},
        "stages": {"pretrain": {"epochs": 2}},
        "benchmarks": {"okvqa": {"questions": 10}},
        "caption_samples": "other_pairs",
        "feature_extractor": {"contrast_steps": 9},
        "language_model": {"layers": 1},
        "clip": {"steps": 7},
        "evaluation_split": "validation",
        "predict": {"num_beams": 2},
        "reranking": {"top": 4},
        "search": {"images": ["minigpt4"]},
        "index": {"thumbnail_size": 100},
    },
    "photos": {
        "q_former": {"seed": 7},
        "linear_baseline": {"seed": 7},
        "pretrained": {"language_model": "smollm2_135m_instruct"},
    },
    "paper": {
        "picture_archives": {"coco_val2014": "coco_val2014_pictures"},
        "feature_extractor_geometry": {"max_text_length": 31},
        "pretrained": {"clip": "clip_vit_large_patch14_336"},
    },
}
# What an experiment of its own changes no product by: what is said of a scale, how jobs run, and what only pages show.
NO_PRODUCT = {"description", "figures_are_meaningful", "survey", "queries", "jobs", "preflight", "mirror"}
# Rules that read a product in its own folder, or what its parents are made from: which folders.
BESIDE = {
    "score": lambda product: [product.path, *(one.path for one in flat(product))],
    "score_retrieval": lambda product: [product.path, *(one.path for one in flat(product))],
    "download_images": lambda product: [one.path for one in flat(next(iter(flat(product.parents["urls"]))))],
}
# What is made in parts is made from what its parts are made from.
OF_PARTS = {"join_images", "join_features"}
# The corpora of the world are written from its settings, beside what is published.
FROM_SETTINGS = {"write_text_corpus", "write_vision_corpus"}
MORE = {"samples": {"other_pairs": {"parts": ["coco_annotations_2017/caption"]}}}


def flat(product):
    """What a product is made from, one by one."""
    return [
        one for made_of in product.inputs.values() for one in (made_of if isinstance(made_of, tuple) else [made_of])
    ]


def rows(scale):
    """An experiment for each section that is changed."""
    changes = CHANGES[scale]
    return {name: {"stages": STAGES, "changes": {name: value}, "in_report": False} for name, value in changes.items()}


def settings_of(scale, results, experiments):
    more = MORE if scale == "tiny" else {}
    config = merge(CONFIG, {"scale": scale, "results": str(results), "experiments": experiments, **more})
    return load_settings(config, ROOT / "scales"), config


def planned(scale, results, experiments):
    """The planned jobs of everything that experiments ask for, and the products by their folders."""
    settings, config = settings_of(scale, results, experiments)
    found = chains(settings)
    asked = [evaluation.product for evaluation in evaluations(found.values())]
    products = all_products(found.values(), asked)
    place = f"{results}/{scale}"
    targets = [f"{place}/{product.path}/scores.json" for product in asked]
    targets += [f"{place}/{chain.index.path}/index.json" for chain in found.values()]
    words = ["--config", f"scale={scale}", f"results={results}", f"experiments={json.dumps(experiments)}"]
    words += [f"samples={json.dumps(config['samples'])}"] if "samples" in config else []
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--nocolor", "--cores", "1"]
    done = subprocess.run([*command, *words, "--", *dict.fromkeys(targets)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return parse(done.stdout + done.stderr), {f"{place}/{path}": product for path, product in products.items()}


@pytest.mark.parametrize("scale", list(CHANGES))
def test_the_inputs_of_every_job_are_what_its_product_is_made_from(scale, tmp_path):
    jobs, products = planned(scale, tmp_path, rows(scale))
    place, seen = f"{tmp_path}/{scale}", set()
    for job in jobs:
        folder = str(Path(job.outputs[0]).parent) if job.outputs else ""
        folder, _, part = folder.partition("/parts/")
        product = products.get(folder)
        if product is None:
            continue
        seen.add(folder)
        given = flat(product)
        wanted = {f"{place}/{one.path}" for one in given}
        beside = BESIDE.get(job.rule.replace("_part", "_images"))
        if beside is not None:
            wanted |= {f"{place}/{path}" for path in beside(product)}
        read = {str(Path(path).parent) for path in job.inputs if str(Path(path).parent) in products}
        assert read <= wanted, (job.rule, product.path, read - wanted)
        if not part and job.rule not in {*BESIDE, *FROM_SETTINGS, *OF_PARTS}:
            assert wanted <= read, (job.rule, product.path, wanted - read)
    made = {path for path, product in products.items()}
    assert made - seen == set(), "every product is made by a job"


@pytest.mark.parametrize("scale", list(CHANGES))
def test_every_change_makes_products_of_its_own(scale, tmp_path):
    settings, _ = settings_of(scale, tmp_path, rows(scale))
    found = chains(settings)

    def paths(chain):
        return set(all_products([chain], [one.product for one in evaluations([chain])]))

    plain, _ = settings_of(scale, tmp_path, {"plain": {"stages": STAGES, "in_report": False}})
    before = paths(chains(plain)["plain"])
    for name in CHANGES[scale]:
        assert paths(found[name]) - before, f"{name} changes nothing"


def test_no_section_of_a_scale_is_forgotten_here():
    from workflow_scripts.config.scale import Scale

    changed = {name for of_scale in CHANGES.values() for name in of_scale}
    assert changed | NO_PRODUCT | {"captions"} >= set(Scale.model_fields)


def test_an_experiment_with_another_feature_extractor_reads_its_own_features(tmp_path):
    changes = {"feature_extractor": {"contrast_steps": 9}}
    jobs, _ = planned("tiny", tmp_path, {"other": {"stages": ["pretrain", "finetune"], "changes": changes}})
    counts = Counter(job.rule for job in jobs)
    assert counts["train_feature_extractor"] == 2
    of_coco = [
        job.outputs[0] for job in jobs if job.rule == "extract_features" and "/coco_train2017-" in job.outputs[0]
    ]
    assert len(of_coco) == 2
