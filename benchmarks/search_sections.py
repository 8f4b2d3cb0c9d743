"""The sections of the benchmarks' README about search."""

from collections.abc import Callable, Sequence
from typing import Any

Table = Callable[[Sequence[str], Sequence[Sequence[object]]], str]

WAYS = {
    "ours": "this index",
    "report": "the report's method: every dot product, maximum, full sort, in numpy",
    "report_flattened": "the same as one matrix multiplication",
    "faiss_flat": "faiss `IndexFlatIP` over all vectors",
    "clip_retrieval": "clip-retrieval's approach: one vector a picture (mean), IVF-PQ",
}


def search_speed(result: dict[str, Any], table: Table) -> str:
    """The section of a run of search_speed.py."""
    speed, costs, structure = [], [], []
    for size in result["sizes"]:
        pictures, build = f"{size['pictures']:,}", size["build"]
        for name, way in size["search"]["ways"].items():
            figures = (f"{way['p50_ms']:.1f}", f"{way['p95_ms']:.1f}", f"{way['times_ours']:.1f}")
            found = (f"{way['recall_at_15']:.3f}", f"{100 * way['exact_share']:.1f}", f"{way['queries']:,}")
            speed.append((pictures, WAYS[name], *figures, *found))
        memory = size["search"]["memory_gb"]
        opened = f"{size['search']['open_and_first_query_seconds']:.2f}"
        built = (f"{build['seconds']:.0f}", f"{build['cpu_seconds']:.0f}", f"{build['peak_memory_gb']:.2f}")
        kept = (f"{build['candidates_gb']:.3f}", f"{build['embeddings_gb']:.2f}")
        costs.append((pictures, *kept, *built, f"{memory['own']:.2f}", f"{memory['mapped']:.2f}", opened))
        structure.append((pictures, *(round(value, 3) for value in size["structure"].values())))
    names = [name.replace("_", " ") for name in result["sizes"][0]["structure"]]
    header = ("pictures", "way", "p50, ms", "p95, ms", "time / ours", "recall@15", "exact top 15, %", "queries")
    cost_header = ("pictures", "candidates, GB", "embeddings on disk, GB", "built in, s", "processor s", "peak, GB")
    return "\n\n".join(
        [
            "## Search among many pictures",
            "`python -m benchmarks.search_speed --work FOLDER --output benchmarks/measured/search_speed.json`: "
            "synthetic projections of 32 x 256 a picture, float16; queries one by one (batch 1), all ways in turn, on "
            f'{result["machine"]["threads"]} thread(s) of {result["machine"]["cpus"]} cores. "time / ours" is the '
            "median of the ratios of neighbouring turns; recall and exactness are against scoring every picture.",
            table(header, speed),
            table((*cost_header, "memory of a search, GB", "and of mapped files", "opened and first query, s"), costs),
            "What the features are like, medians:",
            table(("pictures", *names), structure),
        ]
    )


def cold_start(result: dict[str, Any], table: Table) -> str:
    """The section of a run of cold_start.py."""
    names = {"query": "`search.query`", "lavis": "loading the whole extractor"}
    rows = [
        (name, f"{result[key]['p50_seconds']:.2f}", f"{result[key]['p50_cpu_seconds']:.2f}")
        for key, name in names.items()
    ]
    return "\n\n".join(
        [
            "## A query from nothing",
            "`python -m benchmarks.cold_start --index INDEX --output benchmarks/measured/cold_start.json`: a new "
            f"process for each of {result['runs']} queries in {result['pictures']:,} pictures, both in turn; medians.",
            table(("process", "seconds", "processor seconds"), rows),
        ]
    )
