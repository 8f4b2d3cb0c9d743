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
from workflow_scripts.features.store import FeatureStores
from workflow_scripts.models.adaptor import Adaptor, build_adaptor, load_adaptor
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.models.vision_language_model import VisionLanguageModel
from workflow_scripts.training.checkpoint import Checkpoints
from workflow_scripts.training.engine import (
    DTYPES,
    agree,
    build_engine,
    convert_to_universal,
    device,
    engine_config,
    load_engine_state,
    resolve_precision,
    world_size,
)
from workflow_scripts.training.run_folder import RunFolder
from workflow_scripts.training.samples import Samples, folder_sha256, prepare_samples

log = logging.getLogger(__name__)
STATISTICS_IMAGES = 2048


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
    stores = FeatureStores.open(arguments.features)
    prompt = Prompt(tokenizer)
    samples = _samples("samples", arguments.samples, arguments, settings, stores, prompt)
    validation = None
    if arguments.validation_samples is not None:
        validation = _samples("validation", arguments.validation_samples, arguments, settings, stores, prompt)
    adaptor = _adaptor(arguments.initial_adaptor, settings, stores, samples, language_model)
    model = VisionLanguageModel(adaptor, language_model, prompt)
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


def _samples(
    name: str,
    table: Path,
    arguments: argparse.Namespace,
    settings: TrainingSettings,
    stores: FeatureStores,
    prompt: Prompt,
) -> Samples:
    """Prepare samples once, by the first process, and open them."""
    folder = arguments.run_folder / "prepared" / name
    if torch.distributed.get_rank() == 0:
        prepare_samples(folder, table, stores, prompt, folder_sha256(arguments.language_model))
    if world_size() > 1:
        torch.distributed.barrier()
    return Samples(folder, table, stores, share_images=settings.samples_per_image > 1)


def _adaptor(
    initial: Path | None,
    settings: TrainingSettings,
    stores: FeatureStores,
    samples: Samples,
    language_model: PreTrainedModel,
) -> Adaptor:
    """Load the adaptor to go on from, or build one whose first weights follow from the seed."""
    embedding = language_model.get_input_embeddings()
    if initial is not None:
        adaptor = load_adaptor(initial)
        asked = (settings.adaptor, stores.width, embedding.embedding_dim)
        found = (adaptor.kind, adaptor.in_features, adaptor.out_features)
        if asked != found:
            raise ValueError(
                f"--initial-adaptor {initial} is {found[0]} {found[1]} -> {found[2]}, but settings, features and "
                f"language model ask for {asked[0]} {asked[1]} -> {asked[2]}."
            )
        return adaptor
    torch.manual_seed(settings.seed)
    statistics: dict[str, Any] = {}
    if settings.standardise_features:
        chosen = np.linspace(0, len(samples) - 1, min(len(samples), STATISTICS_IMAGES)).astype(np.int64)
        features = torch.from_numpy(stores.query_output_at(samples.feature_rows(chosen))).flatten(0, 1)
        with deepspeed.zero.GatheredParameters([embedding.weight], enabled=settings.zero_stage == 3):
            output_std = float(embedding.weight.float().std())
        statistics = {"mean": features.mean(0), "std": features.std(0), "output_std": output_std}
    return build_adaptor(settings.adaptor, stores.width, embedding.embedding_dim, **statistics)
