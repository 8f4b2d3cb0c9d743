"""Write the table of `search_speed.json` into the README, between its two marks.

python benchmarks/render_search_speed.py
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("search_speed.json")
BEGIN, END = "<!-- search speed: begin -->", "<!-- search speed: end -->"
NAMES = {
    "ours": "this index",
    "report": "the report's method",
    "report_flattened": "the same as one multiplication",
    "faiss_flat": "faiss `IndexFlatIP`",
    "clip_retrieval": "clip-retrieval's approach",
}


def table(results: dict[str, Any]) -> str:
    """All ways at all sizes, a row each, as Markdown."""
    lines = [
        "| pictures | way | p50, ms | p95, ms | time / ours | recall@15 | exact top 15, % | queries |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in results["sizes"]:
        for name, way in size["search"]["ways"].items():
            lines.append(
                f"| {size['pictures']:,} | {NAMES[name]} | {way['p50_ms']:.1f} | {way['p95_ms']:.1f} "
                f"| {way['times_ours']:.1f} | {way['recall_at_15']:.3f} | {100 * way['exact_share']:.1f} "
                f"| {way['queries']:,} |"
            )
    lines += [
        "",
        "| pictures | candidates, GB | embeddings on disk, GB | built in, s (CPU s) | memory of a search, GB "
        "| and of mapped files |",
        "|---|---|---|---|---|---|",
    ]
    for size in results["sizes"]:
        build, memory = size["build"], size["search"]["memory_gb"]
        lines.append(
            f"| {size['pictures']:,} | {build['candidates_gb']:.3f} | {build['embeddings_gb']:.2f} "
            f"| {build['seconds']:.0f} ({build['cpu_seconds']:.0f}) | {memory['own']:.2f} | {memory['mapped']:.2f} |"
        )
    return "\n".join(lines)


def put_between(text: str, content: str) -> str:
    """A text with new content between its marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{content}\n{END}{after}"


def main() -> None:
    readme = ROOT / "README.md"
    content = table(json.loads(RESULTS.read_text(encoding="utf-8")))
    readme.write_text(put_between(readme.read_text(encoding="utf-8"), content), encoding="utf-8")


if __name__ == "__main__":
    main()
