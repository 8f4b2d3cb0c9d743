"""The section of the benchmarks' README about scoring."""

from collections.abc import Callable, Sequence
from typing import Any

Table = Callable[[Sequence[str], Sequence[Sequence[object]]], str]


def scoring_speed(result: dict[str, Any], table: Table) -> str:
    """The section of a run of scoring_speed.py."""
    what = {
        "score_vqa": f"`score_vqa`, {result['questions']:,} questions with ten answers each",
        "score_retrieval": f"`score_retrieval`, {result['captions']:,} captions x {result['images']:,} images",
    }
    rows = [
        (what[name], f"{one['seconds']:.1f}", f"{one['cpu_seconds']:.1f}", f"{one['memory_gb']:.2f}")
        for name, one in result["scorers"].items()
    ]
    page, told, option = result.get("page"), "", ""
    if page:
        option = f" --page results/{page['scale']}"
        told = (
            f"\n\nThe report's page of scale {page['scale']} ({page['megabytes']:.1f} MB) took {page['seconds']:.1f} "
            f"s, {page['cpu_seconds']:.1f} s of a processor, as Snakemake measured it in that run."
        )
    return "\n\n".join(
        [
            "## Scoring",
            f"`python -m benchmarks.scoring_speed{option} --output benchmarks/measured/scoring_speed.json`: each a "
            f"process from its start to `scores.json` with intervals, medians of {result['repeats']}, on "
            f"{result['cores']} cores with a load average of {result['load_average']} at the start.",
            table(("command", "seconds", "processor seconds", "peak memory, GB"), rows) + told,
        ]
    )
