"""What a configuration asks for: every product of the chain with what defines it, and so the folder it lies in.

Nothing here reads a file but the catalogue: identities follow from settings, rows and the identities of what lies
upstream. A changed setting is a new folder, and setting it back finds the old one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, TypeVar

from workflow_scripts.catalogue.benchmarks import Benchmark, split_part
from workflow_scripts.catalogue.data_sets import SplitName
from workflow_scripts.catalogue.load import Catalogue
from workflow_scripts.config.data import DownloadSettings, SamplesSettings
from workflow_scripts.config.scale import Scale
from workflow_scripts.config.settings import Settings
from workflow_scripts.product import Product

Method = TypeVar("Method", bound=Callable[..., Any])


def _remembered(method: Method) -> Method:
    """Make a chain's product once for each argument: products are asked for again and again, and ids are digests."""

    @wraps(method)
    def found(self: "Chain", name: str) -> Any:
        key = (method.__name__, name)
        if key not in self.made:
            self.made[key] = method(self, name)
        return self.made[key]

    return found  # type: ignore[return-value]


@dataclass(frozen=True)
class Chain:
    """The products of one experiment."""

    scale: Scale
    rows: Catalogue
    stages: tuple[str, ...] = ()
    label: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of runs by their ids, given by the experiments that come before."""
    made: dict[tuple[str, str], Product] = field(default_factory=dict, compare=False, repr=False)

    # What is fetched

    @cached_property
    def _source(self) -> dict[str, Product]:
        """What everything that is downloaded comes from: the miniature world, or the outside, which has no identity."""
        return {"world": self.world} if self.world else {}

    @cached_property
    def world(self) -> Product | None:
        if self.scale.world is None:
            return None
        return Product("publish", "world", "world", {"what": "world"}, settings=self.scale.world)

    @_remembered
    def annotations(self, data_set: str) -> Product:
        """The files of a data set."""
        return Product("fetch_files", "annotations", data_set, {"data_set": data_set}, self._source)

    @_remembered
    def urls(self, image_set: str) -> Product:
        """Where the images of a set are, as the data sets say that list them."""
        lists = self.rows.image_set(image_set).lists
        named = [self._reading(entry.data_set, entry.split) for entry in lists]
        definition = {"urls_of": image_set, "lists": named, "maximum": self.scale.maximum_images.get(image_set)}
        files = tuple(self.annotations(self.rows.files_of(entry.data_set, entry.split)) for entry in lists)
        return Product("list_image_urls", "urls", image_set, definition, {"annotations": files})

    @_remembered
    def images(self, image_set: str) -> Product:
        """The images of a set, stored."""
        definition: dict[str, Any] = {"image_set": image_set}
        if image_set in self.scale.parts:
            definition["parts"] = self.scale.parts[image_set]  # other rows lie in other shards
        archive = self.archive_of(image_set)
        beside = {"archive": self.annotations(archive)} if archive else {}
        packed = archive or self.rows.image_set(image_set).folder
        rule = "pack_images" if packed else "download_images"
        if image_set in self.scale.parts:
            rule = "join_images"
        parents = {"urls": self.urls(image_set)}
        return Product(rule, "images", image_set, definition, parents, self.download_of(image_set), beside)

    def download_of(self, image_set: str) -> DownloadSettings:
        """How the images of a set are stored: as all are, or at a size of their own."""
        size = self.scale.image_sizes.get(image_set, self.scale.download.image_size)
        return self.scale.download.model_copy(update={"image_size": size})

    def archive_of(self, image_set: str) -> str | None:
        """The data set whose archive holds the images of a set; None where they are fetched by URL."""
        return self.scale.picture_archives.get(image_set) or self.rows.image_set(image_set).archive

    def parts_of(self, product: Product) -> int:
        """Return in how many parts, a job for each, a product of an image set is made; tokens are of whole sets."""
        from_images = product.area == "images" or (product.area == "features" and not self.scale.q_former)
        return self.scale.parts.get(product.name, 1) if from_images else 1

    def pretrained(self, role: str) -> Product | None:
        """A model that others trained, as the catalogue has it; role is a field of `PretrainedModels`."""
        name = getattr(self.scale.pretrained, role)
        return Product("fetch_model", "models", name, {"registered_model": name}) if name else None

    def _required(self, role: str) -> Product:
        model = self.pretrained(role)
        assert model is not None, f"this scale has no pretrained.{role}"
        return model

    # The frozen models

    def corpus(self, kind: str) -> Product:
        """What the small models learn from: kind is "vision" (images and captions) or "text"."""
        parents: dict[str, Product] = dict(self._source)
        if not parents:
            parents["pairs"] = self.samples(self.scale.caption_samples)
            if kind == "text" and self.scale.language_model.samples:
                parents["mix"] = self.samples(self.scale.language_model.samples)
        return Product(f"write_{kind}_corpus", "corpora", kind, {"corpus": kind}, parents)

    def _pairs_with_tokens(self) -> dict[str, Product | tuple[Product, ...]]:
        sets = self.image_sets_of_samples([self.scale.caption_samples])
        return {"pairs": self.samples(self.scale.caption_samples), "tokens": tuple(map(self.tokens, sets))}

    @cached_property
    def feature_extractor(self) -> Product:
        name = "feature_extractor"
        if self.scale.q_former:
            encoders = {role: self._required(role) for role in ("vision_encoder", "text_encoder")}
            parents = self._pairs_with_tokens() | encoders
            return Product("train_q_former", "models", name, {"model": name}, parents, self.scale.q_former)
        if self.scale.pretrained.feature_extractor:
            fetched = {"pretrained": self._required(name)}
            geometry = self.scale.feature_extractor_geometry
            return Product("assemble_feature_extractor", "models", name, {"model": name}, fetched, geometry)
        corpus = {"corpus": self.corpus("vision")}
        return Product("train_feature_extractor", "models", name, {"model": name}, corpus, self.scale.feature_extractor)

    @cached_property
    def language_model(self) -> Product:
        name, pretrained = "language_model", self.pretrained("language_model")
        if pretrained is None:
            settings, corpus = self.scale.language_model, {"corpus": self.corpus("text")}
            return Product("train_language_model", "models", name, {"model": name}, corpus, settings)
        # A GGUF file has to be converted first.
        if any(file.name.endswith(".gguf") for file in self.rows.model(pretrained.name).files):
            return Product("convert_gguf", "models", name, {"model": name}, {"pretrained": pretrained})
        return pretrained

    @cached_property
    def linear_baseline(self) -> Product | None:
        settings, name = self.scale.linear_baseline, "linear_baseline"
        if settings is None:
            return None
        return Product(f"train_{name}", "models", name, {"model": name}, self._pairs_with_tokens(), settings)

    @cached_property
    def clip(self) -> Product | None:
        if self.scale.clip is None:
            return self.pretrained("clip")
        corpus = {"corpus": self.corpus("vision")}
        return Product("train_clip", "models", "clip", {"model": "clip"}, corpus, self.scale.clip)

    # What is seen of images

    @_remembered
    def tokens(self, image_set: str) -> Product:
        """The pretrained vision encoder's tokens of every image of a set."""
        parents = {"images": self.images(image_set), "vision_encoder": self._required("vision_encoder")}
        assert self.scale.q_former is not None, "tokens are for a Q-Former that is trained here"
        geometry = self.scale.q_former.geometry
        sizes = {"vit_model": geometry.vit_model, "image_size": geometry.image_size}
        return Product("encode_images", "tokens", image_set, {"tokens_of": image_set, **sizes}, parents)

    @_remembered
    def features(self, image_set: str) -> Product:
        """The feature extractor's output for every image of a set."""
        source = self.tokens(image_set) if self.scale.q_former else self.images(image_set)
        parents = {source.area: source, "feature_extractor": self.feature_extractor}
        product = Product("extract_features", "features", image_set, {"features_of": image_set}, parents)
        if self.parts_of(product) > 1:
            return Product("join_features", "features", image_set, {"features_of": image_set}, parents)
        return product

    def seen(self, image_sets: Iterable[str], online: bool) -> dict[str, "Product | tuple[Product, ...]"]:
        """Image sets as a training, or who predicts with it, reads them: features, or images and their extractor."""
        if online:
            return {"images": tuple(map(self.images, image_sets)), "feature_extractor": self.feature_extractor}
        return {"features": tuple(map(self.features, image_sets))}

    # What is learned and asked

    def _reading(self, data_set: str, split: SplitName) -> dict[str, Any]:
        """What decides which records are read of a split."""
        row, entry = self.rows.data_set(data_set), self.rows.data_set(data_set).split(split)
        return {"data_set": data_set, "reader": row.reader, "options": entry.options, "parts": entry.parts}

    def _part(self, part: str, split: SplitName) -> dict[str, Any]:
        """What decides the samples or questions of a part: which records, and how its task words them."""
        data_set, task = split_part(part)
        held_out = self.rows.image_set(self.rows.images_of(data_set, split)).hold_out
        return {
            **self._reading(data_set, split),
            "hold_out": held_out.model_dump() if held_out else None,
            "task": {"name": task, **self.rows.task(task).model_dump(exclude={"title", "tokens"})},
        }

    def _read(self, parts: Iterable[str], split: SplitName) -> dict[str, "Product | tuple[Product, ...]"]:
        """Annotations and images of the data sets of parts, each once and in the order of the parts."""
        data_sets = data_sets_of(parts)
        images = [self.rows.images_of(name, split) for name in data_sets]
        files = (self.annotations(self.rows.files_of(name, split)) for name in data_sets)
        parents: dict[str, Product | tuple[Product, ...]] = {
            "annotations": tuple(files),
            "images": tuple(map(self.images, images)),
        }
        return parents

    @property
    def _splits(self) -> dict[str, Product]:
        return {"splits": self.annotations(self.scale.splits)} if self.scale.splits else {}

    @_remembered
    def samples(self, name: str) -> Product:
        """A table of samples of the scale, by its name."""
        settings = self.scale.samples[name]
        parents = self._read(settings.parts, "train")
        if settings.exclude:
            parents["exclusions"] = self.exclusions(settings)
        definition = {"samples": [self._part(part, "train") for part in settings.parts]}
        if settings.is_drawn:
            return Product("build_mix", "data", name, definition, {**parents, **self._splits}, settings)
        chosen = settings.model_copy(update={"filter": settings.filter or self.scale.filter})
        return Product("filter_pairs", "data", name, definition, parents, chosen)

    def exclusions(self, settings: SamplesSettings) -> Product:
        """The list of images that samples leave out, since evaluations of data sets ask about them."""
        sets = [name for name in self._image_sets(settings) if self.rows.image_set(name).ids != "own"]
        # An image set may be listed by several data sets, and each says which of its images are COCO's.
        listed = [(name, entry) for name in sets for entry in self.rows.image_set(name).lists]
        parents = {
            "evaluations": tuple(
                self.annotations(self.rows.data_set(name).files_of or name) for name in sorted(settings.exclude)
            ),
            "training": tuple(self.annotations(self.rows.files_of(one.data_set, one.split)) for _, one in listed),
        }
        definition = {"exclusions_from": [name for name, _ in listed], "images_of": sorted(settings.exclude)}
        return Product("list_exclusions", "exclusions", "exclusions", definition, parents)

    def _image_sets(self, settings: SamplesSettings) -> list[str]:
        return list(dict.fromkeys(self.rows.images_of(name, "train") for name in data_sets_of(settings.parts)))

    def image_sets_of_samples(self, names: Iterable[str]) -> list[str]:
        """The image sets of tables of samples, each once."""
        found = (image_set for name in names for image_set in self._image_sets(self.scale.samples[name]))
        return list(dict.fromkeys(found))

    @_remembered
    def benchmark(self, name: str) -> Product:
        """The questions of a benchmark of the scale."""
        settings, split = self.scale.benchmarks[name], self.scale.evaluation_split
        parts = self._parts(name)
        definition = {
            "benchmark": name,
            "split": split,
            "parts": [{"share": share, **self._part(part, split)} for part, share in parts.items()],
            **self._cleaned(name),
        }
        parents = {**self._read(parts, split), **self._splits}
        return Product("build_benchmark", "questions", name, definition, parents, settings)

    def _cleaned(self, benchmark: str) -> dict[str, str]:
        clean = self.rows.benchmark(benchmark).clean
        return {} if clean == "paper" else {"clean": clean}

    def _parts(self, benchmark: str) -> dict[str, float]:
        return self.scale.benchmarks[benchmark].shares or self.rows.benchmark(benchmark).parts

    def benchmark_image_sets(self, name: str) -> list[str]:
        """The image sets that a benchmark asks about."""
        split = self.scale.evaluation_split
        sets = (self.rows.images_of(data_set, split) for data_set in data_sets_of(self._parts(name)))
        return list(dict.fromkeys(sets))

    @property
    def benchmarks(self) -> dict[str, Benchmark]:
        """The rows of the scale's benchmarks, in its order."""
        return {name: self.rows.benchmark(name) for name in self.scale.benchmarks}

    @property
    def retrieval_benchmark(self) -> str | None:
        """The benchmark whose captions search, and whose images the index holds; None where a scale has none."""
        of_captions = (name for name, row in self.benchmarks.items() if row.is_retrieval)
        return self.scale.search.benchmark or next(of_captions, None)

    @property
    def indexed_image_sets(self) -> list[str]:
        """The image sets of the search index, in its order."""
        benchmark = self.retrieval_benchmark
        own = self.benchmark_image_sets(benchmark) if benchmark else []
        return list(dict.fromkeys([*own, *self.scale.search.images]))

    @cached_property
    def index(self) -> Product | None:
        """The search index over the images of the retrieval benchmark and those that are to be found beside them."""
        sets = self.indexed_image_sets
        if not sets:
            return None
        parents = {
            "images": tuple(map(self.images, sets)),
            "features": tuple(map(self.features, sets)),
            "feature_extractor": self.feature_extractor,
        }
        return Product("build_index", "search", sets[0], {"index_of": sets}, parents, self.scale.index)

    # Trainings

    def samples_of(self, stage: str) -> Product:
        """The samples that a stage learns from."""
        names = self.scale.stages[stage].samples
        if len(names) == 1:
            return self.samples(names[0])
        parts = {"samples": tuple(map(self.samples, names))}
        return Product("merge_samples", "data", "merged", {"data": "merged"}, parts)

    def before(self, stage: str) -> str | None:
        """The stage of the experiment whose adaptor a stage starts from; None where it starts anew."""
        own = [name for name in self.scale.stages_before(stage) if name in self.stages]
        return own[-1] if own else None

    @_remembered
    def run(self, stage: str) -> Product:
        """The training run of a stage."""
        assert stage in self.stages, f"{self.label} has no stage {stage}"
        settings = self.scale.stages[stage]
        online = settings.features == "online"
        parents: dict[str, Product | tuple[Product, ...]] = {
            "samples": self.samples_of(stage),
            "language_model": self.language_model,
            "feature_extractor": self.feature_extractor,
            **self.seen(self.image_sets_of_samples(settings.samples), online),
        }
        before = self.before(stage)
        if before is not None:
            self._check_features_after(before, stage)
            parents["initial_adaptor"] = self.run(before)
        run = Product("train_adaptor", stage, self.label, {"stage": stage}, parents, settings.training)
        name = self.names.get(run.id, self.label)
        return Product(run.rule, stage, name, run.definition, parents, run.settings)

    def _check_features_after(self, before: str, stage: str) -> None:
        """Raise ValueError where a training would read cached features that its adaptor was not trained on."""
        names = [name for name in [*self.scale.stages_before(before), before] if name in self.stages]
        earlier = [self.scale.stages[name] for name in names]
        other = earlier[-1].q_former_query or any(settings.train_q_former for settings in earlier)
        if other and self.scale.stages[stage].features == "cached":
            raise ValueError(
                f"experiments.{self.label}: {stage}.features = 'cached', but {before} has a Q-Former of its own or "
                f"gives it the query, and cached features are of another; set {stage}.features to 'online'."
            )

    def has_learned(self, stage: str, data_sets: Iterable[str]) -> bool:
        """Whether a stage, or one that it starts from, learns from samples of any of these data sets."""
        stages = [name for name in [*self.scale.stages_before(stage), stage] if name in self.stages]
        samples = {name for one in stages for name in self.scale.stages[one].samples}
        learned = {data_set for name in samples for data_set in data_sets_of(self.scale.samples[name].parts)}
        return bool(learned & set(data_sets))

    @property
    def runs(self) -> list[Product]:
        return [self.run(stage) for stage in self.stages]


def data_sets_of(parts: Iterable[str]) -> list[str]:
    """The data sets of parts, each once, in the order of the parts."""
    return list(dict.fromkeys(split_part(part)[0] for part in parts))


def chains(settings: Settings) -> dict[str, Chain]:
    """One chain for each experiment, by its name; runs that several share carry the name of the first.

    Stages that the scale has not, since it has no data for them, are left out.
    """
    names: dict[str, str] = {}
    found = {}
    for label, scale in settings.of_experiments.items():
        asked = settings.experiments[label].stages
        # In the order in which they are trained, whatever order the row has.
        stages = tuple(sorted((s for s in asked if s in scale.stages), key=lambda s: len(scale.stages_before(s))))
        chain = Chain(scale, settings.rows, stages, label, names)
        found[label] = chain
        for run in chain.runs:
            names.setdefault(run.id, label)
    return found


def all_products(chains: Iterable[Chain], targets: Iterable[Product]) -> dict[str, Product]:
    """Everything that targets are made from, with the questions of all benchmarks and the indices, by their paths."""
    found: dict[str, Product] = {}
    waiting = list(targets)
    for chain in chains:
        waiting += [*chain.runs, *map(chain.benchmark, chain.benchmarks), *filter(None, [chain.index])]
        if chain.retrieval_benchmark:
            waiting += map(chain.images, chain.benchmark_image_sets(chain.retrieval_benchmark))
    while waiting:
        product = waiting.pop()
        if product.path in found:
            continue
        found[product.path] = product
        for given in product.inputs.values():
            waiting += given if isinstance(given, tuple) else (given,)
    return found
