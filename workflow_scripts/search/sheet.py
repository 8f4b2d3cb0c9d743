"""Run several queries on an index and keep their results with pictures, for the report.

The queries are given, or captions of a retrieval benchmark are drawn, whose right picture is known then.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.search.index import Index
from workflow_scripts.search.query import clean_query, text_encoder_of
from workflow_scripts.search.render import data_url


def draw_captions(benchmark: Path, count: int, seed: int) -> list[tuple[str, str | None]]:
    """Captions of a benchmark with the key of their image, drawn without replacement."""
    from workflow_scripts.evaluation.predictions import read_questions

    rows = read_questions(benchmark)
    drawn = random.Random(seed).sample(rows, min(count, len(rows)))
    return [(row["answer"], row["image"]) for row in drawn]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--queries", nargs="*", default=[], help="descriptions to look for")
    parser.add_argument("--benchmark", type=Path, help="retrieval benchmark to draw captions from")
    parser.add_argument("--captions", type=int, default=3, help="how many captions to draw (3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--output", type=Path, required=True, help="sheet.json to write")
    arguments = parser.parse_args(argv)
    queries: list[tuple[str, str | None]] = [(clean_query(query), None) for query in arguments.queries]
    if arguments.benchmark:
        queries += draw_captions(arguments.benchmark, arguments.captions, arguments.seed)
    if not queries:
        raise ValueError("There is nothing to look for; give --queries or --benchmark.")

    index = Index(arguments.index)
    texts = text_encoder_of(index).embed_texts([query for query, _ in queries])
    results = index.search(texts, len(index) if arguments.benchmark else arguments.top, exact=True)
    sheet = []
    for (query, wanted), hits in zip(queries, results, strict=True):
        place = next((hit.rank for hit in hits if hit.id == wanted), None)
        shown = [
            {
                "rank": hit.rank,
                "score": hit.score,
                "id": hit.id,
                "right": hit.id == wanted,
                "thumbnail": data_url(index.thumbnail(hit.row)),
            }
            for hit in hits[: arguments.top]
        ]
        sheet.append({"query": query, "image": wanted, "rank_of_image": place, "hits": shown})
    write_json(
        arguments.output,
        {"count": len(index), "skipped": len(index.manifest["skipped"]), "queries": sheet},
    )
    print(f"{len(sheet)} queries answered from {len(index)} pictures")


if __name__ == "__main__":
    run_command(main)
