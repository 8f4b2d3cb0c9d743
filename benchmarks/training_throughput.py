"""Samples a second of adaptor training: the project's loop against a plain one, part by part.

    python -m benchmarks.training_throughput --run results/mini/pretrain/report-* --output benchmarks/measured/x.json

All variants take the samples, pictures and models of a finished pretraining, in one process on one thread, in rounds
one after the other, so that whatever else the machine does meets all of them; figures are medians over rounds.
"""

import argparse
import json
import logging
import os
import shlex
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")
logging.getLogger("workflow_scripts").setLevel(logging.WARNING)
ROOT = Path(__file__).resolve().parents[1]
VARIANTS = {
    "plain": {},
    "features cached": {"cached_features": True},
    "grouped by length": {"cached_features": True, "grouped": True},
    "logits at answers only": {"cached_features": True, "grouped": True, "logits_at_answers": True},
}
OWN = "this project's training"
ONLINE = "the same with online features"


def training_arguments(run: dict[str, Any], folder: Path, settings: dict[str, Any]) -> list[str]:
    """The command line of a finished training, for another folder, other settings and without MLflow."""
    words = shlex.split(run["command"])[3:]
    for name in ("--tracking-uri", "--experiment", "--attempt"):
        if name in words:
            place = words.index(name)
            del words[place : place + 2]
    for name, value in (("--run-folder", str(folder)), ("--settings", json.dumps(settings))):
        words[words.index(name) + 1] = value
    return words


def with_pictures(run: dict[str, Any], images: dict[str, Any], scale: Path) -> dict[str, Any]:
    """The record of a run as if its features had not been cached."""
    words = shlex.split(run["command"])
    first, last = words.index("--features"), words.index("--language-model")
    extractor = next((scale / "models").glob(f"*-{run['identity']['from']['feature_extractor']}"))
    folders = [str(image_set.folder) for image_set in images.values()]
    words[first:last] = ["--images", *folders, "--feature-extractor", str(extractor)]
    return run | {"command": shlex.join(words)}


def prepare(run_folder: Path) -> tuple[Any, dict[str, Any], int]:
    """Open what a finished pretraining was made of; return it with the run's record and batch size."""
    from workflow_scripts.training.lean_imports import import_lean

    import_lean()
    from benchmarks.plain_loop import Frozen
    from workflow_scripts.command_line import read_json
    from workflow_scripts.data.shards import ImageSet
    from workflow_scripts.features.store import FeatureStores
    from workflow_scripts.identity import sha256_of_file
    from workflow_scripts.models.feature_extractor import load_feature_extractor
    from workflow_scripts.models.language_model import load_language_model
    from workflow_scripts.models.prompt import Prompt
    from workflow_scripts.training.samples import Samples, read_samples

    run = read_json(run_folder / "run.json")
    scale = run_folder.parents[1]
    words = shlex.split(run["command"])
    features = [Path(word) for word in words[words.index("--features") + 1 : words.index("--language-model")]]
    stores = FeatureStores.open(features)
    images = {}
    for manifest in stores.manifests:
        folders = (scale / "images").glob(f"{manifest['image_set']}-*")
        found = [folder for folder in folders if sha256_of_file(folder / "manifest.json") == manifest["images_sha256"]]
        images[manifest["image_set"]] = ImageSet.open(found[0])
    language_model, tokenizer = load_language_model(Path(words[words.index("--language-model") + 1]))
    table = Path(words[words.index("--samples") + 1])
    samples = Samples(run_folder / "prepared" / "samples", table, stores)
    extractor = next((scale / "models").glob(f"*-{run['identity']['from']['feature_extractor']}"))
    frozen = Frozen(
        images,
        stores,
        load_feature_extractor(extractor),
        language_model,
        Prompt(tokenizer),
        read_samples(table).to_pylist(),
        samples.lengths,
        run["settings"]["learning_rate"],
    )
    return frozen, run, run["settings"]["batch_size"]


def own_loop(run: dict[str, Any], folder: Path, settings: dict[str, Any]) -> Any:
    """The project's own `TrainingLoop` on the samples of a run, ready to make one step after the other."""
    from workflow_scripts.training import train_adaptor
    from workflow_scripts.training.loop import TrainingLoop

    made: list[TrainingLoop] = []

    def keep(self: TrainingLoop, label: str, facts: dict[str, Any]) -> str:
        self.engine.train()
        made.append(self)
        return "wall_time"

    run_method, TrainingLoop.run = TrainingLoop.run, keep
    try:
        train_adaptor.main(training_arguments(run, folder, settings))
    except SystemExit:
        pass
    finally:
        TrainingLoop.run = run_method
    return made[0]


def measure(run_folder: Path, rounds: int, steps: int) -> dict[str, Any]:
    """Return samples a second of all variants, wall and processor time, with what they were measured on."""
    from benchmarks.plain_loop import PlainLoop, Switches

    frozen, run, batch_size = prepare(run_folder)
    window = run["settings"]["length_window"]
    loops = {name: PlainLoop(frozen, Switches(**on), batch_size, window) for name, on in VARIANTS.items()}
    variants: dict[str, Callable[[int], object]] = {name: loop.step for name, loop in loops.items()}
    temporary = Path(tempfile.mkdtemp(prefix="throughput-"))
    try:
        own_settings = run["settings"] | {"epochs": max(4, run["settings"]["epochs"])}
        variants[OWN] = own_loop(run, temporary / "run", own_settings)._step
        online = with_pictures(run, frozen.images, run_folder.parents[1])
        variants[ONLINE] = own_loop(online, temporary / "online", own_settings | {"features": "online"})._step
        for step in variants.values():
            for number in range(2):
                step(number)
        speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
        for round_ in range(rounds):
            for name, step in variants.items():
                wall, used = time.perf_counter(), time.process_time()
                for number in range(2 + round_ * steps, 2 + (round_ + 1) * steps):
                    step(number)
                samples = steps * batch_size
                speeds[name].append((samples / (time.perf_counter() - wall), samples / (time.process_time() - used)))
    finally:
        shutil.rmtree(temporary)
    rows = []
    before = None
    for name, found in speeds.items():
        wall, used = (statistics.median(values) for values in zip(*found, strict=True))
        against = [mine[0] / plain[0] for mine, plain in zip(found, speeds["plain"], strict=True)]
        spent = [mine[1] / plain[1] for mine, plain in zip(found, speeds["plain"], strict=True)]
        row = {"variant": name, "samples_per_second": round(wall, 1), "samples_per_cpu_second": round(used, 1)}
        row |= {"ratio": round(statistics.median(against), 2), "cpu_ratio": round(statistics.median(spent), 2)}
        if before is not None:
            steps_ratio = [mine[0] / last[0] for mine, last in zip(found, speeds[before], strict=True)]
            row["ratio_to_row_before"] = round(statistics.median(steps_ratio), 2)
        before = name
        rows.append(row)
    padded = {name: round(float(np.mean(loop.padded_tokens)), 1) for name, loop in loops.items()}
    texts = (frozen.lengths, frozen.rows, frozen.prompt)
    return {
        "benchmark": "training_throughput",
        "run": run["run_id"],
        "scale": run_folder.parents[1].name,
        "samples": run["samples"]["count"],
        "batch_size": batch_size,
        "samples_per_image": run["settings"].get("samples_per_image", 1),
        "rounds": rounds,
        "steps_a_round": steps,
        "load_average": round(os.getloadavg()[0], 1),
        "cpu": run["environment"]["cpu"],
        "rows": rows,
        "tokens": {
            "mean": round(float(frozen.lengths.mean()) + frozen.stores.queries, 1),
            "padded_random": padded["plain"],
            "padded_grouped": padded["grouped by length"],
        },
        "own_size": operations(*texts, own_size(run, run_folder.parents[1]), 1, batch_size),
        "full_size": operations(*texts, full_size(), 8, 192),
    }


def operations(
    lengths: np.ndarray, rows: Any, prompt: Any, models: tuple[Any, Any], shares: int, batch_size: int
) -> list[dict[str, Any]]:
    """FLOPs of a sample of each variant, of models (language model, extractor) on samples of these lengths.

    Each of `shares` devices pads its own part of a batch.
    """
    from workflow_scripts.planning.flops import adaptor_training, feature_extraction
    from workflow_scripts.training.order import BatchOrder

    model, extractor = models
    queries = extractor.num_query_token
    chosen = rows[:: max(1, len(rows) // 2000)]
    answers = float(np.mean([len(prompt.answer_ids(row["answer"])) for row in chosen]))

    def padded(window: int) -> float:
        order = BatchOrder(lengths, batch_size, 0, window)
        batches = [order.batch(step) for step in range(min(64, order.steps_per_epoch))]
        parts = [lengths[batch[rank::shares]].max() for batch in batches for rank in range(shares)]
        return float(np.mean(parts)) + queries

    def language(tokens: float, outputs: float) -> float:
        return model.forward(tokens, outputs) + model.backward_to_input(tokens, outputs)

    adaptor = adaptor_training("linear", extractor.qformer_width, model.width, queries)
    pictures = feature_extraction(extractor)
    random, grouped = padded(1), padded(32)
    flops = {
        "plain": pictures + language(random, random),
        "features cached": language(random, random),
        "grouped by length": language(grouped, grouped),
        "logits at answers only": language(grouped, answers),
    }
    return [
        {"variant": name, "teraflops_a_sample": round((value + adaptor) / 1e12, 6),
         "ratio": round((flops["plain"] + adaptor) / (value + adaptor), 2)}
        for name, value in flops.items()
    ]  # fmt: skip


def full_size() -> tuple[Any, Any]:
    """The report's models: LLaMA-2-7b, and BLIP-2's first stage on EVA-CLIP-g."""
    from workflow_scripts.config.vision import QformerGeometry
    from workflow_scripts.planning.flops import LanguageModel
    from workflow_scripts.planning.known import known_language_model

    model = LanguageModel(**known_language_model("llama_2_7b_chat"))
    return model, QformerGeometry(vit_model="eva_clip_g", image_size=224, embed_dim=256)


def own_size(run: dict[str, Any], scale: Path) -> tuple[Any, Any]:
    """The models that a run was made with."""
    from workflow_scripts.command_line import read_json
    from workflow_scripts.config.vision import QformerGeometry
    from workflow_scripts.planning.geometry import language_model_of_folder

    words = shlex.split(run["command"])
    extractor = next((scale / "models").glob(f"*-{run['identity']['from']['feature_extractor']}"))
    geometry = QformerGeometry.model_validate(read_json(extractor / "config.json"))
    return language_model_of_folder(Path(words[words.index("--language-model") + 1])), geometry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished pretraining")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=6, help="steps of each variant in a round")
    parser.add_argument("--output", type=Path, required=True, help="JSON that benchmarks/README.md is rendered from")
    arguments = parser.parse_args()
    from workflow_scripts.command_line import write_json

    result = measure(arguments.run, arguments.rounds, arguments.steps)
    write_json(arguments.output, result)
    for row in result["rows"]:
        print(row)


if __name__ == "__main__":
    main()
