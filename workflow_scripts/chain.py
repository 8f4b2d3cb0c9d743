"""What a configuration asks for: every product of the chain with what defines it, and so the folder it lies in.

Nothing here reads a file but the registry: identities follow from settings and from the identities of what lies
upstream. A changed setting is a new folder, and setting it back finds the old one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workflow_scripts.config.base import Section
from workflow_scripts.config.data import BenchmarkSettings
from workflow_scripts.config.settings import Roles, Scale, Settings
from workflow_scripts.identity import run_id
from workflow_scripts.sources.registry import load_registry


@dataclass(frozen=True)
class Product:
    """Something that one rule makes: `definition` says all that determines it, `name` is for people."""

    area: str
    name: str
    definition: Mapping[str, Any]
    parents: Mapping[str, "Product"] = field(default_factory=dict)
    settings: Section | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """All that defines the product: what it is, its settings, and the ids of what it is made from."""
        parents = {role: parent.id for role, parent in self.parents.items()}
        settings = self.settings.defining() if self.settings is not None else None
        return {"what": self.definition, "settings": settings, "from": parents}

    @cached_property
    def id(self) -> str:
        return run_id(self.identity)

    @property
    def key(self) -> str:
        """The name of the product's folder in its area."""
        return f"{self.name}-{self.id}"

    @property
    def path(self) -> str:
        """The product's folder, relative to the folder of the scale."""
        return f"{self.area}/{self.key}"


@dataclass(frozen=True)
class Chain:
    """The products of one experiment."""

    scale: Scale
    stages: tuple[str, ...] = ()
    label: str = ""

    @property
    def roles(self) -> Roles:
        """Which image sets play which part where the scale's split is evaluated."""
        return self.scale.roles.of_split(self.scale.evaluation_split)

    def _source(self) -> dict[str, Product]:
        """What everything that is downloaded comes from: the miniature world, or the outside, which has no identity."""
        return {"world": self.world} if self.world else {}

    @cached_property
    def world(self) -> Product | None:
        if self.scale.world is None:
            return None
        return Product("world", "world", {"what": "world"}, settings=self.scale.world)

    def annotations(self, dataset: str) -> Product:
        return Product("annotations", dataset, {"dataset": dataset}, self._source())

    def images(self, image_set: str) -> Product:
        definition: dict[str, Any] = {"image_set": image_set, "maximum": self.scale.maximum_images.get(image_set)}
        if image_set in self.scale.parts:
            definition["parts"] = self.scale.parts[image_set]  # other rows lie in other shards
        return Product("images", image_set, definition, self._source(), self.scale.download)

    def parts_of(self, product: Product) -> int:
        """Return in how many parts, a job for each, a product of an image set is made; tokens are of whole sets."""
        from_pictures = product.area == "images" or (product.area == "features" and not self.scale.q_former)
        return self.scale.parts.get(product.name, 1) if from_pictures else 1

    def pretrained(self, role: str) -> Product | None:
        """A model that others trained, as the registry has it; role is a field of `PretrainedModels`."""
        name = getattr(self.scale.pretrained, role)
        return Product("models", name, {"registered_model": name}) if name else None

    def tokens(self, image_set: str) -> Product:
        """The pretrained vision encoder's tokens of every picture of a set."""
        encoder = self.pretrained("vision_encoder")
        assert encoder is not None, "this scale trains its vision encoder"
        parents = {"images": self.images(image_set), "vision_encoder": encoder}
        return Product("tokens", image_set, {"tokens_of": image_set}, parents)

    def _pairs_with_tokens(self) -> dict[str, Product]:
        return {"pairs": self.pairs} | {name: self.tokens(name) for name in self.scale.roles.pretraining}

    @cached_property
    def linear_baseline(self) -> Product | None:
        settings = self.scale.linear_baseline
        if settings is None:
            return None
        parents = self._pairs_with_tokens()
        return Product("models", "linear_baseline", {"model": "linear_baseline"}, parents, settings)

    @cached_property
    def feature_extractor(self) -> Product:
        if self.scale.q_former:
            parents = self._pairs_with_tokens()
            for role in ("vision_encoder", "text_encoder"):
                model = self.pretrained(role)
                assert model is not None
                parents[role] = model
            name = "feature_extractor"
            return Product("models", name, {"model": name}, parents, self.scale.q_former)
        pretrained = self.pretrained("feature_extractor")
        if pretrained:
            geometry = self.scale.feature_extractor_geometry
            name = "feature_extractor"
            return Product("models", name, {"model": name}, {"pretrained": pretrained}, geometry)
        return Product(
            "models",
            "feature_extractor",
            {"model": "feature_extractor"},
            {"corpus": self.corpus("vision")},
            self.scale.feature_extractor,
        )

    @cached_property
    def language_model(self) -> Product:
        pretrained = self.pretrained("language_model")
        if pretrained and not _is_gguf(pretrained.name):
            return pretrained
        if pretrained:
            return Product("models", "language_model", {"model": "language_model"}, {"pretrained": pretrained})
        return Product(
            "models",
            "language_model",
            {"model": "language_model"},
            {"corpus": self.corpus("text")},
            self.scale.language_model,
        )

    @cached_property
    def clip(self) -> Product | None:
        if self.scale.clip is None:
            return self.pretrained("clip")
        return Product("models", "clip", {"model": "clip"}, {"corpus": self.corpus("vision")}, self.scale.clip)

    def corpus(self, kind: str) -> Product:
        """What the small models learn from: kind is "vision" (pictures and captions) or "text"."""
        parents = self._source() or {"pairs": self.pairs}
        if self.world is None and kind == "text" and self.scale.mix_photo:
            parents["mix"] = self.mix("photo_mix")
        return Product("corpora", kind, {"corpus": kind}, parents)

    def features(self, image_set: str) -> Product:
        source = self.tokens(image_set) if self.scale.q_former else self.images(image_set)
        parents = {source.area: source, "feature_extractor": self.feature_extractor}
        return Product("features", image_set, {"features_of": image_set}, parents)

    @cached_property
    def index(self) -> Product:
        """The search index over the pictures of the retrieval benchmark and those that are to be found beside them."""
        image_set = self.roles.retrieval
        parents = {name: self.features(name) for name in self.indexed_image_sets}
        return Product("search", image_set, {"index_of": self.indexed_image_sets}, parents, self.scale.index)

    @property
    def indexed_image_sets(self) -> list[str]:
        """The image sets of the search index, in its order."""
        return list(dict.fromkeys([self.roles.retrieval, *self.roles.search]))

    @cached_property
    def pairs(self) -> Product:
        parents = {name: self.images(name) for name in self.scale.roles.pretraining} | self._exclusions
        return Product("data", "pairs", {"data": "pairs"}, parents, self.scale.filter)

    @property
    def exclusions(self) -> Product | None:
        """The list of training pictures that evaluations ask about; None where all may be trained on."""
        return self._exclusions.get("exclusions")

    @cached_property
    def _exclusions(self) -> dict[str, Product]:
        if not self.scale.exclude:
            return {}
        definition = {"data": "exclusions", "pictures_of": sorted(self.scale.exclude)}
        return {"exclusions": Product("data", "exclusions", definition, self._source())}

    def mix(self, name: str) -> Product:
        settings = {
            "visual_genome_mix": self.scale.mix,
            "okvqa_mix": self.scale.mix_okvqa,
            "refcoco_mix": self.scale.mix_refcoco,
            "photo_mix": self.scale.mix_photo,
        }[name]
        if settings is None:
            raise ValueError(f"experiments.{self.label} needs {name}, for which this scale has no settings.")
        parents = self._mix_images(name) | (self._exclusions if name == "visual_genome_mix" else {})
        return Product("data", name, {"data": name}, parents, settings)

    def _mix_images(self, name: str) -> dict[str, Product]:
        roles = self.scale.roles
        used = {
            "visual_genome_mix": (roles.visual_genome, roles.descriptions),
            "okvqa_mix": (roles.okvqa_train,),
            "refcoco_mix": (roles.refcoco,),
            "photo_mix": (roles.daquar, *roles.pretraining),
        }[name]
        return {image_set: self.images(image_set) for image_set in used if image_set}

    @property
    def retrieval_benchmark(self) -> str:
        """The name of the benchmark whose captions search the retrieval pictures, by its data set."""
        return "flickr8k_retrieval" if self.roles.retrieval.startswith("flickr8k") else "coco_retrieval"

    @cached_property
    def _benchmarks(self) -> dict[str, tuple[str | None, BenchmarkSettings | None]]:
        """Image set and settings of each benchmark, null where the scale has no data for it or does not ask."""
        scale, roles = self.scale, self.roles
        return {
            "visual_genome": (roles.visual_genome, scale.visual_genome),
            "okvqa": (roles.okvqa_val, scale.okvqa),
            "refcoco": (roles.refcoco, scale.refcoco),
            "gqa": (roles.gqa, scale.gqa),
            "daquar": (roles.daquar_test or roles.daquar, scale.daquar),
            "flickr8k_captions": (roles.retrieval, scale.captions),
            "flickr8k_is_true": (roles.retrieval, scale.is_true),
            self.retrieval_benchmark: (roles.retrieval, scale.retrieval),
            "colour_matched": (roles.colour_matched, scale.retrieval),
        }

    @property
    def benchmarks(self) -> list[str]:
        """The benchmarks that the scale has data for."""
        return [name for name, (image_set, settings) in self._benchmarks.items() if image_set and settings]

    def benchmark(self, name: str) -> Product:
        """The questions of a benchmark; see `benchmarks` for their names."""
        image_set, settings = self._benchmarks[name]
        assert image_set is not None, f"this scale has no data for the benchmark {name}"
        assert settings is not None, f"this scale does not ask the benchmark {name}"
        definition: dict[str, Any] = {"benchmark": name, "split": self.scale.evaluation_split}
        return Product("questions", name, definition, {image_set: self.images(image_set)}, settings)

    def benchmark_image_set(self, name: str) -> str:
        """The image set that a benchmark asks about."""
        return next(iter(self.benchmark(name).parents))

    def samples(self, stage: str) -> Product:
        """The samples that a training stage learns from."""
        if stage != "pretrain":
            return self.mix(self._mix_of(stage))
        if not self.scale.pretrain_with:
            return self.pairs
        parts = {"pairs": self.pairs} | {name: self.mix(name) for name in self.scale.pretrain_with}
        return Product("data", "mixed_pairs", {"data": "mixed_pairs"}, parts)

    def _mix_of(self, stage: str) -> str:
        """The mix that a finetuning stage learns from; pretraining learns from the filtered pairs."""
        general = "photo_mix" if self.scale.mix_photo else "visual_genome_mix"
        return {"finetune": general, "finetune_okvqa": "okvqa_mix", "finetune_refcoco": "refcoco_mix"}[stage]

    def sample_image_sets(self, stage: str) -> list[str]:
        """The image sets whose features a training stage reads."""
        if stage != "pretrain":
            return list(self._mix_images(self._mix_of(stage)))
        mixes = (name for mix in self.scale.pretrain_with for name in self._mix_images(mix))
        return list(dict.fromkeys([*self.scale.roles.pretraining, *mixes]))

    def run(self, stage: str) -> Product:
        """The training run of a stage, started from the adaptor of the stage before it."""
        assert stage in self.stages, f"{self.label} has no stage {stage}"
        settings = getattr(self.scale, stage)
        parents = {
            "samples": self.samples(stage),
            "feature_extractor": self.feature_extractor,
            "language_model": self.language_model,
        }
        position = self.stages.index(stage)
        if position:
            self._check_features_after(self.stages[:position], stage)
            parents["initial_adaptor"] = self.run(self.stages[position - 1])
        return Product(stage, self.label, {"stage": stage}, parents, settings)

    def _check_features_after(self, before: tuple[str, ...], stage: str) -> None:
        """Raise ValueError where a training would read cached features that its adaptor was not trained on."""
        earlier = [getattr(self.scale, name) for name in before]
        other = earlier[-1].q_former_query or any(settings.train_q_former for settings in earlier)
        if other and getattr(self.scale, stage).features == "cached":
            raise ValueError(
                f"experiments.{self.label}: {stage}.features = 'cached', but {before[-1]} has a Q-Former of its own or "
                f"gives it the query, and cached features are of another; set {stage}.features to 'online'."
            )

    @property
    def runs(self) -> list[Product]:
        return [self.run(stage) for stage in self.stages]


def _is_gguf(model: str) -> bool:
    """Whether a registered model comes as a GGUF file, which has to be converted first."""
    return any(file.name.endswith(".gguf") for file in load_registry().source(model).files)


def chains(settings: Settings) -> dict[str, Chain]:
    """One chain for each experiment, by its name; runs that several share carry the name of the first.

    Stages that the scale has no settings for, since it has no data for them, are left out.
    """
    names: dict[str, str] = {}
    found = {}
    for label, scale in settings.of_experiments.items():
        stages = tuple(stage for stage in settings.experiments[label].stages if getattr(scale, stage) is not None)
        chain = _NamedChain(scale, stages, label, names)
        found[label] = chain
        for run in chain.runs:
            names.setdefault(run.id, label)
    return found


@dataclass(frozen=True)
class _NamedChain(Chain):
    names: Mapping[str, str] = field(default_factory=dict)

    def run(self, stage: str) -> Product:
        own = super().run(stage)
        name = self.names.get(own.id, self.label)
        return Product(own.area, name, own.definition, own.parents, own.settings)


def by_key(products: Iterable[Product]) -> dict[str, Product]:
    """Products by the name of their folder."""
    return {product.key: product for product in products}
