"""Which evaluations a configuration asks for, and the id under which each of their figures stands in the report."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from workflow_scripts.chain import Chain, Product

RETRIEVAL_METHODS = ("blip2", "blip2_itm", "linear_baseline", "clip", "clip_high_resolution", "colour_histogram")
SCORERS = {
    "visual_genome": "score_exact_match",
    "okvqa": "score_vqa",
    "refcoco": "score_rec",
    "gqa": "score_exact_match",
    "flickr8k_captions": "score_captions",
    "flickr8k_is_true": "score_exact_match",
    "daquar": "score_wups",
}
"""The command that scores the answers to each benchmark."""


def scored_by(scorer: str) -> list[str]:
    """The benchmarks whose answers a command scores."""
    return [benchmark for benchmark, name in SCORERS.items() if name == scorer]


def retrieval_methods(chain: Chain) -> list[str]:
    """The methods of retrieval that a scale has the models for."""
    there = {
        "blip2_itm": chain.scale.reranking,
        "clip": chain.clip,
        "clip_high_resolution": chain.pretrained("clip_high_resolution"),
        "linear_baseline": chain.linear_baseline,
    }
    return [method for method in RETRIEVAL_METHODS if there.get(method, method)]


def retrieval_figure(benchmark: str, method: str) -> str:
    """What the ids of a method's retrieval figures start with."""
    if benchmark.startswith("flickr8k"):
        return f"flickr8k.retrieval.{method.replace('blip2', 'q_former')}"
    return f"coco_retrieval.{method}"


def split_name(benchmark: str, split: str) -> str:
    """A split as the data set itself calls it, as it stands beside the figures."""
    return "dev" if benchmark.startswith("flickr8k") and split == "validation" else split


@dataclass(frozen=True)
class Evaluation:
    """Predictions of one training run on one benchmark, and what their score is called."""

    benchmark: Product
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


def evaluations(chains: Iterable[Chain]) -> list[Evaluation]:
    """All evaluations of the trained adaptors; the first run of a stage has the plain figure id, others `id@name`."""
    found: dict[str, Evaluation] = {}
    taken: set[str] = set()
    for chain in chains:
        for stage in chain.stages:
            for evaluation in _of_run(chain, stage):
                if evaluation.path in found:
                    continue
                figure = evaluation.figure
                if figure + evaluation.suffix in taken:
                    figure = f"{figure}@{chain.label}"
                taken.add(figure + evaluation.suffix)
                found[evaluation.path] = replace(evaluation, figure=figure)
    return list(found.values())


def shown_of_experiments(evaluation: Evaluation) -> bool:
    """Whether an evaluation is a column of the table of experiments, which controls are not."""
    return evaluation.run is not None and not evaluation.shuffle_images


def _of_run(chain: Chain, stage: str) -> Iterable[Evaluation]:
    roles = chain.scale.roles
    if roles.visual_genome and stage in ("pretrain", "finetune"):
        variant = {"pretrain": "before", "finetune": "after"}[stage]
        yield _predicted(chain, stage, "visual_genome", variant, f"visual_genome.exact_match.{variant}")
        if stage == "finetune":
            name = "after_shuffled_images"
            yield _predicted(chain, stage, "visual_genome", name, f"visual_genome.exact_match.{name}", shuffle=True)
            yield _guessed(chain, "visual_genome")
    if roles.gqa and stage in ("pretrain", "finetune"):
        variant = {"pretrain": "before", "finetune": "after"}[stage]
        yield _predicted(chain, stage, "gqa", variant, f"gqa.exact_match.{variant}")
    if "flickr8k_captions" in chain.benchmarks and stage == "pretrain":
        yield _predicted(chain, stage, "flickr8k_captions", "pretrained", "flickr8k.captions")
        name, suffix = "pretrained_shuffled_images", "_shuffled_images"
        yield _predicted(chain, stage, "flickr8k_captions", name, "flickr8k.captions", shuffle=True, suffix=suffix)
    if "flickr8k_is_true" in chain.benchmarks and stage == "finetune":
        yield _predicted(chain, stage, "flickr8k_is_true", "after", "flickr8k.is_true.accuracy")
    if "daquar" in chain.benchmarks and stage in ("pretrain", "finetune"):
        variant = {"pretrain": "before", "finetune": "after"}[stage]
        yield _predicted(chain, stage, "daquar", variant, f"daquar.exact_match.{variant}")
        if stage == "finetune":
            name = "after_shuffled_images"
            yield _predicted(chain, stage, "daquar", name, f"daquar.exact_match.{name}", shuffle=True)
            yield _guessed(chain, "daquar")
    if roles.okvqa_val and stage == "finetune" and "okvqa_mix" not in chain.scale.pretrain_with:
        yield _predicted(chain, stage, "okvqa", "zero_shot", "okvqa.accuracy.zero_shot")
    if roles.okvqa_val and stage == _last_on(chain, "okvqa"):
        yield _predicted(chain, stage, "okvqa", "finetuned", "okvqa.accuracy.finetuned")
    if roles.refcoco and stage == _last_on(chain, "refcoco"):
        yield _predicted(chain, stage, "refcoco", "finetuned", "refcoco")


def _last_on(chain: Chain, benchmark: str) -> str | None:
    """The stage after which a system that was trained on a benchmark's own training questions is asked its others.

    Where pretraining saw them it is the finetuning, if none follows that is on these questions alone.
    """
    own = f"finetune_{benchmark}"
    if own in chain.stages:
        return own
    return "finetune" if f"{benchmark}_mix" in chain.scale.pretrain_with else None


def _predicted(
    chain: Chain, stage: str, benchmark: str, variant: str, figure: str, shuffle: bool = False, suffix: str = ""
) -> Evaluation:
    run = chain.run(stage)
    questions = chain.benchmark(benchmark)
    of_captions = chain.scale.predict_captions if benchmark == "flickr8k_captions" else None
    product = Product(
        f"evaluation/{benchmark}",
        f"{variant}-{run.name}",
        {"evaluation": benchmark, "variant": variant},
        {"run": run, "questions": questions},
        of_captions or chain.scale.predict,
    )
    return Evaluation(questions, variant, figure, product, run, shuffle, suffix)


def _guessed(chain: Chain, benchmark: str) -> Evaluation:
    """The best guess without the picture, from the answers of the same mix that the finetuning saw."""
    questions = chain.benchmark(benchmark)
    mix = chain.samples("finetune")
    product = Product(
        f"evaluation/{benchmark}",
        "question_only",
        {"evaluation": benchmark, "variant": "question_only"},
        {"questions": questions, "mix": mix},
    )
    return Evaluation(questions, "question_only", f"{benchmark}.exact_match.question_only", product)
