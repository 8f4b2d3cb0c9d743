"""What a plan is made of: configuration, machine, and what earlier runs measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.chain import Chain, all_products, chains
from workflow_scripts.command_line import read_json
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.evaluations import evaluations
from workflow_scripts.planning import measured
from workflow_scripts.planning.flops import LanguageModel, adaptor_step, low_rank_step, online_features
from workflow_scripts.planning.geometry import language_model_of_folder
from workflow_scripts.planning.machines import Machine
from workflow_scripts.product import Product

# Assumptions that are none of a machine's: how fast files and pictures are read.
DISK_BYTES_PER_SECOND = 1e9
START_SECONDS = {True: 60.0, False: 20.0}
STEP_SECONDS = {True: 0.03, False: 0.002}
PICTURE_SECONDS = 0.004


@dataclass(frozen=True)
class Context:
    """A configuration on a machine; `job_hours` is the wall time that a job may have."""

    settings: Settings
    machine: Machine
    job_hours: float

    @cached_property
    def chains(self) -> dict[str, Chain]:
        rows = self.settings.experiments
        return {label: chain for label, chain in chains(self.settings).items() if rows[label].in_report}

    @property
    def chain(self) -> Chain:
        """The first experiment, whose data and models all share."""
        return next(iter(self.chains.values()))

    @cached_property
    def products(self) -> list[Product]:
        """Everything that is made for the report."""
        asked = (evaluation.product for evaluation in evaluations(self.chains.values()))
        return list(all_products(self.chains.values(), asked).values())

    def image_sets_in(self, area: str) -> list[str]:
        """The image sets that products of an area are of, in the order of the catalogue."""
        names = {product.name for product in self.products if product.area == area}
        return [name for name in self.settings.rows.image_sets if name in names]

    @property
    def results(self) -> Path:
        """The folder of the scale's results."""
        return Path(self.settings.results) / self.settings.scale

    @cached_property
    def ran_here(self) -> bool:
        """Whether what the scale's results measured was measured on such a machine."""
        return measured.ran_here(self.results, self.machine)

    @cached_property
    def utilisations(self) -> list[tuple[float, float]]:
        """FLOPs a sample and share of the peak, of every training that was measured on such a machine."""
        found = []
        for training in measured.trainings(Path(self.settings.results), self.machine):
            flops = flops_of_training(training)
            if flops is not None:
                reached = training.samples_per_second * flops / training.processes
                found.append((flops, reached / (self.machine.teraflops * 1e12)))
        return found

    def utilisation(self, flops: float) -> tuple[float, bool]:
        """Return the share of the peak to expect at so many FLOPs a sample, and whether it was measured.

        Of several measured trainings, that of the nearest FLOPs a sample counts.
        """
        if not self.utilisations:
            return self.machine.utilisation, False
        nearest = min(self.utilisations, key=lambda pair: abs(math.log(pair[0] / flops)))
        return nearest[1], True

    def is_done(self, product: Product, marker: str) -> bool:
        """Whether a product is there already."""
        return (self.results / product.path / marker).is_file()

    def seconds_of(self, rule: str, key: str | None = None) -> float | None:
        """What a rule took for a product, if it ran on such a machine."""
        return measured.seconds_of_rule(self.results, rule, key) if self.ran_here else None


def flops_of_training(training: measured.Training) -> float | None:
    """Return the FLOPs of a sample of a training that was made, from its own files; None where some are gone."""
    scale = training.folder.parents[1]
    parents = training.record["identity"]["from"]
    bounds = training.folder / "prepared" / "samples" / "bounds.npy"
    language_model = next((scale / "models").glob(f"*-{parents['language_model']}/config.json"), None)
    extractor = next((scale / "models").glob(f"*-{parents['feature_extractor']}/config.json"), None)
    if not bounds.is_file() or language_model is None or extractor is None:
        return None
    geometry = QformerGeometry.model_validate(read_json(extractor))
    settings = training.record["settings"]
    lengths = np.load(bounds)
    adapting = _flops_of_samples(language_model_of_folder(language_model.parent), settings, geometry, lengths)
    if settings.get("features") != "online":
        return adapting
    texts = float((lengths[:, -1] - lengths[:, 3]).mean())
    return adapting + online_features(geometry, texts, settings["train_q_former"])


def _flops_of_samples(
    model: LanguageModel, settings: Mapping[str, Any], geometry: QformerGeometry, bounds: np.ndarray
) -> float:
    answers = float((bounds[:, 3] - bounds[:, 2]).mean())
    together = settings.get("samples_per_image", 1)
    tokens = float((bounds[:, 3] - bounds[:, 0]).mean()) + geometry.num_query_token / together
    features = (geometry.num_query_token, geometry.qformer_width)
    step = adaptor_step(model, settings["adaptor"], features, tokens, answers)
    return step + low_rank_step(model, settings.get("low_rank"), tokens)
