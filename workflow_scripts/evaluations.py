"""Which evaluations a configuration asks for, and the id under which each of their figures stands in the report."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from workflow_scripts.catalogue.benchmarks import Asked, Benchmark
from workflow_scripts.chain import Chain
from workflow_scripts.product import Product

SHUFFLED, QUESTION_ONLY = "shuffled_images", "question_only"


@dataclass(frozen=True)
class Evaluation:
    """Predictions of one training run on one benchmark, or one way of searching, and what their score is called."""

    benchmark: Product
    row: Benchmark
    variant: str
    figure: str
    product: Product
    run: Product | None = None
    shuffle_images: bool = False
    suffix: str = ""
    """Of the names of several figures that `figure` is the start of."""

    @property
    def path(self) -> str:
        """The evaluation's folder, relative to the folder of the scale."""
        return self.product.path

    @property
    def is_plain(self) -> bool:
        """Whether the figure has the plain id, which is that of the first experiment with it."""
        return "@" not in self.figure

    @property
    def split(self) -> str:
        """The split as the data set itself calls it, as it stands beside the figures."""
        return self.product.definition["split"]


def evaluations(chains: Iterable[Chain]) -> list[Evaluation]:
    """All evaluations of chains; the first one of a figure has the plain id, those of other experiments `id@name`."""
    found: dict[str, Evaluation] = {}
    taken: set[tuple[str, str]] = set()
    for chain in chains:
        for evaluation in [*_retrievals(chain), *_of_runs(chain)]:
            if evaluation.path in found:
                continue
            figure = evaluation.figure
            name = (evaluation.benchmark.name, figure + evaluation.suffix)
            if name in taken:
                figure = f"{figure}@{chain.label}"
            taken.add(name)
            found[evaluation.path] = replace(evaluation, figure=figure)
    return list(found.values())


def shown_of_experiments(evaluation: Evaluation) -> bool:
    """Whether an evaluation is a column of the table of experiments, which controls are not."""
    return evaluation.run is not None and not evaluation.shuffle_images


def _split_of(chain: Chain, row: Benchmark) -> str:
    split = chain.scale.evaluation_split
    return chain.rows.data_set(row.data_sets[0]).split(split).called or split


# Captions that search images


def _by_q_former(chain: Chain, sets: list[str]) -> Mapping[str, Product | tuple[Product, ...]] | None:
    return {"features": tuple(map(chain.features, sets)), "feature_extractor": chain.feature_extractor}


def _by_linear_baseline(chain: Chain, sets: list[str]) -> Mapping[str, Product | tuple[Product, ...]] | None:
    model = chain.linear_baseline
    return {"tokens": tuple(map(chain.tokens, sets)), "linear_baseline": model} if model else None


def _by_clip(model_of: Callable[[Chain], Product | None]) -> Callable[[Chain, list[str]], Mapping | None]:
    def parents(chain: Chain, sets: list[str]) -> Mapping[str, Product | tuple[Product, ...]] | None:
        model = model_of(chain)
        return {"images": tuple(map(chain.images, sets)), "clip": model} if model else None

    return parents


def _by_colour_histogram(chain: Chain, sets: list[str]) -> Mapping[str, Product | tuple[Product, ...]] | None:
    training = chain.image_sets_of_samples([chain.scale.caption_samples])
    return {
        "images": tuple(map(chain.images, sets)),
        "training_pairs": chain.samples(chain.scale.caption_samples),
        "training_images": tuple(map(chain.images, training)),
    }


RETRIEVAL_METHODS = {
    "blip2": ("blip2", _by_q_former),
    "linear_baseline": ("linear_baseline", _by_linear_baseline),
    "clip": ("clip", _by_clip(lambda chain: chain.clip)),
    "clip_high_resolution": ("clip", _by_clip(lambda chain: chain.pretrained("clip_high_resolution"))),
    "colour_histogram": ("colour_histogram", _by_colour_histogram),
}
"""By its name in figures: a method of rank_images, and what it compares captions with, None where that is missing."""


def _retrievals(chain: Chain) -> Iterator[Evaluation]:
    """Every way of searching that a scale has the models for, on each of its benchmarks of captions."""
    for name, row in chain.benchmarks.items():
        if not row.is_retrieval:
            continue
        sets = chain.benchmark_image_sets(name)
        for variant, (method, parents_of) in RETRIEVAL_METHODS.items():
            parents = parents_of(chain, sets)
            if parents is None:
                continue
            definition = {"method": method, "captions": row.captions, "split": _split_of(chain, row)}
            questions = {"benchmark": chain.benchmark(name)}
            ranked = Product("rank_images", f"evaluation/{name}", variant, definition, {**questions, **parents})
            yield _retrieval(chain, row, ranked)
            if method == "blip2" and row.reranked and chain.scale.reranking:
                yield _retrieval(chain, row, _reranked(chain, name, sets, ranked))


def _reranked(chain: Chain, name: str, sets: list[str], ranked: Product) -> Product:
    """The best images of a first search, ranked again by the matching head, which looks at the encoder's tokens."""
    looked_at = {"tokens": tuple(map(chain.tokens, sets))} if chain.scale.q_former else {}
    parents = {
        "ranked": ranked,
        **(looked_at or {"images": tuple(map(chain.images, sets))}),
        "feature_extractor": chain.feature_extractor,
    }
    definition = {"method": "blip2_itm", "split": ranked.definition["split"]}
    area = f"evaluation/{name}"
    return Product("rerank_images", area, "blip2_itm", definition, parents, chain.scale.reranking)


def _retrieval(chain: Chain, row: Benchmark, product: Product) -> Evaluation:
    # A Q-Former that was trained here is not BLIP-2's.
    name = product.name.replace("blip2", "q_former") if chain.scale.q_former else product.name
    ranked = product.inputs.get("ranked", product)
    assert isinstance(ranked, Product), "what is ranked again was ranked once"
    questions = ranked.inputs["benchmark"]
    assert isinstance(questions, Product), "captions come from one table"
    return Evaluation(questions, row, product.name, f"{row.figures}.{name}", product)


# Questions that a trained adaptor answers


def _of_runs(chain: Chain) -> Iterator[Evaluation]:
    for stage in chain.stages:
        for name, row in chain.benchmarks.items():
            if row.is_retrieval:
                continue
            for asked in row.asked or [Asked(variant=stage, after=[stage])]:
                if _is_asked(chain, stage, row, asked):
                    yield from _of_run(chain, stage, name, row, asked)


def _is_asked(chain: Chain, stage: str, row: Benchmark, asked: Asked) -> bool:
    """Whether a benchmark is asked after a stage; where `trained` is true, after the last that had learned of it."""
    if asked.after is not None and stage not in asked.after:
        return False
    if asked.trained is None:
        return True
    learned = chain.has_learned(stage, row.data_sets)
    if not asked.trained or not learned:
        return learned == asked.trained
    # Where a stage is on the benchmark's own samples it is that one; else the last that followed.
    own = [one for one in chain.stages if _learns_itself(chain, one, row)]
    candidates = own if own and own[-1] != chain.stages[0] else chain.stages
    later = [one for one in candidates if chain.has_learned(one, row.data_sets)]
    return stage == later[-1]


def _learns_itself(chain: Chain, stage: str, row: Benchmark) -> bool:
    names = chain.scale.stages[stage].samples
    return any(part.partition("/")[0] in row.data_sets for name in names for part in chain.scale.samples[name].parts)


def _of_run(chain: Chain, stage: str, name: str, row: Benchmark, asked: Asked) -> Iterator[Evaluation]:
    yield _predicted(chain, stage, name, row, asked.variant)
    if SHUFFLED in asked.controls:
        yield _predicted(chain, stage, name, row, asked.variant, shuffle=True)
    if QUESTION_ONLY in asked.controls:
        yield _guessed(chain, stage, name, row)


def _predicted(chain: Chain, stage: str, name: str, row: Benchmark, variant: str, shuffle: bool = False) -> Evaluation:
    run, questions = chain.run(stage), chain.benchmark(name)
    suffix = ""
    figure = row.figure_id(variant)
    if shuffle:
        variant = f"{variant}_{SHUFFLED}"
        suffix = "" if row.names_variants else f"_{SHUFFLED}"
        figure = row.figure_id(variant) if row.names_variants else figure
    online = chain.scale.stages[stage].features == "online"
    parents = {
        "run": run,
        "questions": questions,
        "language_model": chain.language_model,
        **chain.seen(chain.benchmark_image_sets(name), online),
    }
    settings = chain.scale.benchmarks[name].predict or chain.scale.predict
    definition = {"evaluation": name, "variant": variant, "split": _split_of(chain, row)}
    product = Product("predict", f"evaluation/{name}", f"{variant}-{run.name}", definition, parents, settings)
    return Evaluation(questions, row, variant, figure, product, run, shuffle, suffix)


def _guessed(chain: Chain, stage: str, name: str, row: Benchmark) -> Evaluation:
    """The best guess without the image, from the answers of the same samples that the stage learned from."""
    questions = chain.benchmark(name)
    definition = {"evaluation": name, "variant": QUESTION_ONLY, "tasks": row.question_only_tasks}
    product = Product(
        "guess_question_only",
        f"evaluation/{name}",
        QUESTION_ONLY,
        {**definition, "split": _split_of(chain, row)},
        {"questions": questions, "mix": chain.samples_of(stage)},
    )
    return Evaluation(questions, row, QUESTION_ONLY, row.figure_id(QUESTION_ONLY), product)
