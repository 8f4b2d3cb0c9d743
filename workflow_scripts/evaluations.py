"""Which evaluations a configuration asks for, and the id under which each of their figures stands in the report."""

from collections.abc import Iterable
from dataclasses import dataclass

from workflow_scripts.chain import Chain, Product

RETRIEVAL_METHODS = ("blip2", "clip", "colour_histogram")


@dataclass(frozen=True)
class Evaluation:
    """Predictions of one training run on one benchmark, and what their score is called."""

    benchmark: Product
    variant: str
    figure: str
    product: Product
    run: Product | None = None
    shuffle_images: bool = False

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
                if figure in taken:
                    figure = f"{figure}@{chain.label}"
                taken.add(figure)
                found[evaluation.path] = Evaluation(
                    evaluation.benchmark,
                    evaluation.variant,
                    figure,
                    evaluation.product,
                    evaluation.run,
                    evaluation.shuffle_images,
                )
    return list(found.values())


def _of_run(chain: Chain, stage: str) -> Iterable[Evaluation]:
    roles = chain.scale.roles
    if roles.visual_genome and stage in ("pretrain", "finetune"):
        variant = {"pretrain": "before", "finetune": "after"}[stage]
        yield _predicted(chain, stage, "visual_genome", variant, f"visual_genome.exact_match.{variant}")
        if stage == "finetune":
            name = "after_shuffled_images"
            yield _predicted(chain, stage, "visual_genome", name, f"visual_genome.exact_match.{name}", shuffle=True)
            yield _guessed(chain)
    if roles.okvqa_val and stage in ("finetune", "finetune_okvqa"):
        variant = {"finetune": "zero_shot", "finetune_okvqa": "finetuned"}[stage]
        yield _predicted(chain, stage, "okvqa", variant, f"okvqa.accuracy.{variant}")
    if roles.refcoco and stage == "finetune_refcoco":
        yield _predicted(chain, stage, "refcoco", "finetuned", "refcoco")


def _predicted(
    chain: Chain, stage: str, benchmark: str, variant: str, figure: str, shuffle: bool = False
) -> Evaluation:
    run = chain.run(stage)
    questions = chain.benchmark(benchmark)
    product = Product(
        f"evaluation/{benchmark}",
        f"{variant}-{run.name}",
        {"evaluation": benchmark, "variant": variant},
        {"run": run, "questions": questions},
        chain.scale.predict,
    )
    return Evaluation(questions, variant, figure, product, run, shuffle)


def _guessed(chain: Chain) -> Evaluation:
    """The best guess without the picture, from the answers of the same mix that the finetuning saw."""
    questions = chain.benchmark("visual_genome")
    mix = chain.samples("finetune")
    product = Product(
        "evaluation/visual_genome",
        "question_only",
        {"evaluation": "visual_genome", "variant": "question_only"},
        {"questions": questions, "mix": mix},
    )
    return Evaluation(questions, "question_only", "visual_genome.exact_match.question_only", product)
