"""Put a training together: models, samples, engine, and the state of the last checkpoint."""

import argparse
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepspeed
import numpy as np
import torch
import torch.distributed
from transformers import PreTrainedModel
from transformers.integrations import HfDeepSpeedConfig

from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.features.image_inputs import ImageInputs, open_cached, open_pixels
from workflow_scripts.models.adaptor import (
    Adaptor,
    build_adaptor,
    load_adaptor,
    read_low_rank_weights,
    read_q_former_weights,
)
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.low_rank import add_low_rank, load_low_rank, rank_of
from workflow_scripts.models.online_features import OnlineFeatures
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.models.vision_language_model import VisionLanguageModel
from workflow_scripts.training.checkpoint import Checkpoints
from workflow_scripts.training.engine import (
    DTYPES,
    build_engine,
    convert_to_universal,
    engine_config,
    load_engine_state,
    resolve_precision,
)
from workflow_scripts.training.process_group import agree, device, world_size
from workflow_scripts.training.run_folder import RunFolder
from workflow_scripts.training.samples import Samples, folder_sha256, prepare_samples

log = logging.getLogger(__name__)
STATISTICS_IMAGES = 2048
STATISTICS_BATCH = 64


@dataclass(frozen=True)
class Assembly:
    """What a training loop works with; `state` is that of the checkpoint it goes on from, None at the beginning."""

    engine: deepspeed.DeepSpeedEngine
    samples: Samples
    validation: Samples | None
    checkpoints: Checkpoints | None
    state: dict[str, Any] | None
    facts: dict[str, Any]


def assemble(arguments: argparse.Namespace, settings: TrainingSettings, folder: RunFolder | None) -> Assembly:
    """Load everything and bring it to where the last checkpoint stands; every process has to call this."""
    precision = resolve_precision(settings.precision)
    facts = {"world_size": world_size(), "zero_stage": settings.zero_stage, "precision": precision}
    config = engine_config(settings, precision)
    checkpoints = None
    if folder is not None:
        checkpoints = Checkpoints(folder.path / "checkpoints", settings.keep_checkpoints, folder.run)
    latest = agree(checkpoints.latest() if checkpoints is not None else None)
    state = latest.state if latest is not None else None
    universal = None
    if state is not None and state["precision"] != precision:
        raise ValueError(
            f"{latest.folder} was trained in {state['precision']}, and this device would go on in {precision}; set "
            f"precision = {state['precision']!r}, or use the kind of device that it began on."
        )
    if state is not None and _needs_conversion(state, facts):
        log.info("the checkpoint is of %d processes at ZeRO stage %d", state["world_size"], state["zero_stage"])
        universal = agree(convert_to_universal(latest.folder) if folder is not None else None)
        config["checkpoint"] = {"load_universal": True}

    # Alive while the language model is loaded, it makes transformers shard the weights as they are read.
    sharding = HfDeepSpeedConfig(config) if settings.zero_stage == 3 else None
    language_model, tokenizer = load_language_model(arguments.language_model, DTYPES[precision], device())
    del sharding
    facts["low_rank"] = _add_low_rank(arguments.initial_adaptor, settings, language_model)
    inputs, online = _images(arguments, settings)
    prompt = Prompt(tokenizer)
    tables = {"samples": arguments.samples, "validation": arguments.validation_samples}
    for name, table in tables.items():
        if table is not None and torch.distributed.get_rank() == 0:
            language_model_sha256 = folder_sha256(arguments.language_model)
            prepare_samples(_prepared(arguments, name), table, inputs, prompt, language_model_sha256, online)
    if world_size() > 1:
        torch.distributed.barrier()
    samples, validation = (
        Samples(_prepared(arguments, name), table, inputs, share_images=settings.samples_per_image > 1)
        if table is not None
        else None
        for name, table in tables.items()
    )
    adaptor = _adaptor(arguments.initial_adaptor, settings, samples, online, language_model)
    model = VisionLanguageModel(adaptor, language_model, prompt, online)
    engine = build_engine(model, settings, config)
    if latest is not None:
        load_engine_state(engine, universal or latest.folder)
        if world_size() > 1:
            torch.distributed.barrier()
        if universal is not None and folder is not None:
            shutil.rmtree(universal)
    return Assembly(engine, samples, validation, checkpoints, state, facts)


def _needs_conversion(state: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's optimizer state is cut into other parts than this training holds."""
    before, now = state["zero_stage"], facts["zero_stage"]
    if before == now == 0:
        return False  # every process holds all of it
    if 0 in (before, now):
        raise ValueError(
            f"The checkpoint was written at ZeRO stage {before} and cannot go on at stage {now}: only stages "
            f"above 0 change into each other; set zero_stage = {before}."
        )
    return before != now or state["world_size"] != facts["world_size"]


def _images(arguments: argparse.Namespace, settings: TrainingSettings) -> tuple[ImageInputs, OnlineFeatures | None]:
    """Open what the model is given of images, and build the feature extractor where that is their pixels."""
    initial = arguments.initial_adaptor
    if settings.features == "cached":
        return open_cached(arguments.features, initial, "set features = 'online'"), None
    pixels, extractor = open_pixels(arguments.images, arguments.feature_extractor, str(device()))
    weights = read_q_former_weights(initial) if initial is not None else None
    return pixels, OnlineFeatures(extractor, settings.q_former_query, weights, settings.train_q_former)


def _add_low_rank(initial: Path | None, settings: TrainingSettings, language_model: PreTrainedModel) -> bool:
    """Put low-rank additions into the language model: those of the adaptor to go on from, or new ones to train.

    Returns whether there are any.
    """
    weights = read_low_rank_weights(initial) if initial is not None else {}
    if weights and settings.low_rank not in (None, rank_of(weights)):
        raise ValueError(
            f"--initial-adaptor {initial} has low-rank additions of rank {rank_of(weights)}, but low_rank = "
            f"{settings.low_rank}; set {rank_of(weights)} to train them further, or null to leave them as they are."
        )
    if weights:
        load_low_rank(language_model, weights, initial, trained=settings.low_rank is not None)
    elif settings.low_rank:
        torch.manual_seed(settings.seed)
        add_low_rank(language_model, settings.low_rank)
    return bool(weights or settings.low_rank)


def _prepared(arguments: argparse.Namespace, name: str) -> Path:
    return arguments.run_folder / "prepared" / name


def _adaptor(
    initial: Path | None,
    settings: TrainingSettings,
    samples: Samples,
    online: OnlineFeatures | None,
    language_model: PreTrainedModel,
) -> Adaptor:
    """Load the adaptor to go on from, or build one; all random numbers from here on follow from the seed."""
    torch.manual_seed(settings.seed)
    embedding = language_model.get_input_embeddings()
    width = samples.inputs.width if online is None else online.width
    if initial is not None:
        adaptor = load_adaptor(initial)
        asked = (settings.adaptor, width, embedding.embedding_dim)
        found = (adaptor.kind, adaptor.in_features, adaptor.out_features)
        if asked != found:
            raise ValueError(
                f"--initial-adaptor {initial} is {found[0]} {found[1]} -> {found[2]}, but settings, features and "
                f"language model ask for {asked[0]} {asked[1]} -> {asked[2]}."
            )
        return adaptor
    statistics: dict[str, Any] = {}
    if settings.standardise_features:
        chosen = np.linspace(0, len(samples) - 1, min(len(samples), STATISTICS_IMAGES)).astype(np.int64)
        features = _query_output(samples, chosen, online).flatten(0, 1)
        with deepspeed.zero.GatheredParameters([embedding.weight], enabled=settings.zero_stage == 3):
            output_std = float(embedding.weight.float().std())
        statistics = {"mean": features.mean(0), "std": features.std(0), "output_std": output_std}
    return build_adaptor(settings.adaptor, width, embedding.embedding_dim, **statistics)


@torch.no_grad()
def _query_output(samples: Samples, indices: np.ndarray, online: OnlineFeatures | None) -> torch.Tensor:
    """Return the query output [N, Q, D] of samples, before any training, on the CPU."""
    parts = []
    for start in range(0, len(indices), STATISTICS_BATCH):
        batch = samples.batch(indices[start : start + STATISTICS_BATCH])
        query_output, image_of = batch.images, batch.image_of
        if online is not None:
            query_output, image_of = online(query_output, batch.texts, image_of)
        parts.append((query_output if image_of is None else query_output[image_of]).cpu())
    return torch.cat(parts)
