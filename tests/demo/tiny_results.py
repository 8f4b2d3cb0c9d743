"""The results of a scale as the workflow leaves them, with tiny untrained models, made in a second or two."""

import json
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny_feature_extractor import write_tiny_extractor
from tiny_language_model import write_tiny_language_model

WORDS = ["a", "red", "cat", "blue", "kite", "what", "colour", "is", "the", "picture", "in", "?"]
COLOURS = ["red", "green", "blue", "yellow", "orange", "purple", "brown", "white", "black", "pink", "grey", "teal"]

EXAMPLES = ["a red cat", "a blue kite in the picture"]


def write_tiny_results(scale: Path) -> Path:
    """Models, two trainings, eighteen pictures and their index below a folder, which is returned."""
    extractor = write_tiny_extractor(scale / "models" / "feature_extractor-aaa", WORDS, seed=1)
    texts = [" ".join(WORDS), "a red cat sits left of the blue dog.", "what colour is the cat?"]
    write_tiny_language_model(scale / "models" / "language_model-bbb", texts)
    write_pictures(scale / "pictures")
    from workflow_scripts.search import build

    index = ["--images", scale / "pictures", "--feature-extractor", extractor, "--output", scale / "search/pictures-d"]
    build.main(list(map(str, index)))
    checksum = json.loads((scale / "search/pictures-d/index.json").read_text())["extractor_sha256"]
    examples = [{"query": query, "image": None} for query in EXAMPLES]
    (scale / "report").mkdir()
    (scale / "report" / "sheet.json").write_text(json.dumps({"queries": examples}))
    write_run(scale, "pretrain", "report", checksum, seed=1)
    write_run(scale, "finetune", "report", checksum, seed=2)
    return scale


def write_pictures(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, colour in enumerate([*COLOURS, *COLOURS[:6]]):
        picture = Image.new("RGB", (64, 48), colour)
        picture.paste(COLOURS[(number * 5 + 3) % len(COLOURS)], (8 + number, 10, 30 + number, 40))
        picture.save(folder / f"{number:02d}.png")


def write_run(scale: Path, stage: str, name: str, extractor: str, seed: int) -> Path:
    """A finished training: an adaptor and the record that the demo reads; later seeds are newer."""
    from workflow_scripts.models.adaptor import build_adaptor, save_adaptor

    folder = scale / stage / f"{name}-{seed}"
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    save_adaptor(build_adaptor("linear", 32, 48), folder / "adaptor.safetensors")
    record = {"run_id": str(seed), "name": name, "stage": stage, "language_model": "lm"}
    # A finetuning starts from the pretraining (1), any other from the finetuning (2).
    before = {"pretrain": {}, "finetune": {"initial_adaptor": "1"}}.get(stage, {"initial_adaptor": "2"})
    record |= {"identity": {"from": {"language_model": "bbb", **before}}, "features": [{"extractor": extractor}]}
    (folder / "run.json").write_text(json.dumps(record))
    os.utime(folder / "run.json", (1_700_000_000 + seed, 1_700_000_000 + seed))
    return folder


def random_picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8))
