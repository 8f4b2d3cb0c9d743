"""The report's tables, as Markdown, CSV and LaTeX; a figure that no run gave is an empty cell."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, run_command, write_atomically
from workflow_scripts.config.report import ReportSettings
from workflow_scripts.report.collect_results import read_scores
from workflow_scripts.report.expected import (
    Breakdowns,
    ReportedFigures,
    Results,
    ScaleExpectations,
    Verdict,
    by_id,
    judge,
    read_expected,
    two_decimals,
)
from workflow_scripts.report.names import METHODS, figure_name, split_experiment
from workflow_scripts.report.photo_tables import MakeRow, build_kinds, build_photo_tables, has_photographs
from workflow_scripts.report.tables import WRITERS, Matrix, Row, Table


def build_tables(
    results: Results,
    scores: Sequence[Mapping[str, Any]],
    reported: ReportedFigures,
    scale: ScaleExpectations,
    settings: ReportSettings,
) -> list[Table | Matrix]:
    """All tables of the report, in its order.

    Of a scale of photographs, what the report measured on other data is one table of absent cells.
    """
    breakdowns = breakdowns_of(scores)
    printed = {figure.id: figure for figure in reported.figures}

    def row(label: str, id: str, group: str = "") -> Row:
        entry, reference = results.get(id), printed.get(id)
        verdict = judge(id, results, breakdowns, scale, reference)
        if entry is not None and not settings.figures_are_meaningful:
            verdict = Verdict("no meaning", "none")
        text, wording = (reference.text, reference.wording) if reference else ("", None)
        if entry is None:
            return Row(label, id, text, verdict=verdict, group=group, wording=wording)
        return Row(
            label,
            id,
            text,
            entry["value"],
            tuple(entry["ci95"]) if entry["ci95"] else None,
            entry["n"],
            verdict,
            entry.get("adaptor_run_id") or entry.get("run_id"),
            entry.get("command"),
            group,
            entry.get("split") or "",
            wording,
        )

    def published(table: str) -> list[Row]:
        rows = [one for one in reported.others if one.table == table]
        return [
            Row(
                one.figure or one.system,
                None,
                two_decimals(one.value),
                group=one.system if one.figure else "",
                wording=one.wording,
            )
            for one in rows
        ]

    ranks = {f"r_at_{k}": f"R@{k}" for k in (1, 5, 10)} | {"colour_matched_r_at_1": "R@1, colour-matched"}
    retrieval = [
        row(label, f"coco_retrieval.{method}.{rank}", name)
        for method, name in METHODS.items()
        for rank, label in ranks.items()
        if method not in _NOT_EVERYWHERE or f"coco_retrieval.{method}.{rank}" in results
    ] + published("retrieval")
    exact = [
        row("before finetuning", "visual_genome.exact_match.before"),
        row("before, answer contained", "visual_genome.exact_match.before.contained"),
        row("after finetuning", "visual_genome.exact_match.after"),
        row("after, answer contained", "visual_genome.exact_match.after.contained"),
        row("control: images shuffled", "visual_genome.exact_match.after_shuffled_images"),
        row("control: question only", "visual_genome.exact_match.question_only"),
    ]
    okvqa = [
        row(label + words, f"okvqa.accuracy.{variant}{suffix}")
        for variant, label in (("zero_shot", "ours, zero-shot"), ("finetuned", "ours, finetuned on OK-VQA"))
        for suffix, words in (("", ""), (".lemmatised", ", lemmatised (not official)"))
        if not suffix or f"okvqa.accuracy.{variant}{suffix}" in results
    ] + published("okvqa")
    boxes = [row("Acc@0.5", "refcoco.accuracy_iou50"), row("mean IoU", "refcoco.mean_iou")]
    others = sorted(
        (experiment, plain, id) for id in results for plain, experiment in [split_experiment(id)] if experiment
    )
    experiments = [row(figure_name(plain), id, experiment) for experiment, plain, id in others]
    notes = {
        table: [doubt.text for doubt in (*reported.doubts, *scale.doubts) if doubt.table == table]
        for table in (*_TITLES, *_PHOTO_TABLES)
    }
    notes["retrieval"] = [*notes_of_retrieval(results, settings), *notes["retrieval"]]
    rows = {"retrieval": retrieval, "exact_match": exact, "okvqa": okvqa, "refcoco": boxes, "experiments": experiments}
    photographs: list[Table | Matrix] = []
    if has_photographs(results):
        rows = {"not_measured": not_measured(results, reported, row), "experiments": experiments}
        tables = build_photo_tables(results, scores, row, settings)
        kinds = build_kinds(breakdowns)
        photographs = [replace(table, notes=(*table.notes, *notes[table.name])) for table in tables]
        photographs += [kinds] if kinds else []
    return photographs + [
        Table(name, title, rows[name], notes[name]) for name, title in _TITLES.items() if rows.get(name)
    ]


def breakdowns_of(scores: Sequence[Mapping[str, Any]]) -> Breakdowns:
    """The values by kind of question of each scoring."""
    return {one["id"]: one.get("breakdown", {}) for one in scores}


def notes_of_retrieval(results: Results, settings: ReportSettings) -> list[str]:
    """What is to be known about the methods of Table 1."""
    notes = []
    if settings.reranked:
        notes.append(
            f"ITC + ITM: the {settings.reranked} best pictures of each caption by BLIP-2's similarity (ITC) are ranked "
            "again by the sum of that and its matching head (ITM), which sees the words beside the vision tokens."
        )
    if not any(id.startswith("coco_retrieval.clip_high_resolution.") for id in results):
        notes.append("CLIP at a second resolution (336 beside 224 pixels) is measured at scale `paper` only.")
    return notes


def not_measured(results: Results, reported: ReportedFigures, row: MakeRow) -> list[Row]:
    """The report's figures on data that a scale of photographs does not have; one that it has keeps its value."""
    data = {figure.id: _DATA.get(figure.id.split(".")[0]) for figure in reported.figures}
    rows = [row(figure_name(id), id, name) for id, name in data.items() if name]
    return [one if one.value is not None else replace(one, verdict=Verdict("no such data", "none")) for one in rows]


_NOT_EVERYWHERE = ("blip2_itm", "clip_high_resolution")
"""Methods of retrieval that scales may leave out; those of the report have rows in any case."""
_DATA = {
    "coco_retrieval": "COCO retrieval",
    "visual_genome": "Visual Genome",
    "okvqa": "OK-VQA",
    "refcoco": "RefCOCO",
}
_TITLES = {
    "retrieval": "Table 1. Text-to-image retrieval, first caption only",
    "exact_match": "Finetuning. Exact match on Visual Genome questions and relationships",
    "okvqa": "Table 2. OK-VQA, VQA accuracy",
    "refcoco": "Referring expressions. RefCOCO val, boxes as text",
    "not_measured": "What these data cannot tell: figures of the report on other data",
    "experiments": "Experiments. What differs from the report's system in one setting",
}


_PHOTO_TABLES = ("flickr8k_retrieval", "flickr8k_image_to_text", "flickr8k_captions", "flickr8k_is_true", "daquar")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="results.json")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="scores.json files, for break-downs by kind")
    parser.add_argument("--reported", type=Path, default=Path("expected/report.yaml"))
    parser.add_argument("--expected", type=Path, required=True, help="expected/<scale>.yaml")
    parser.add_argument("--settings", type=ReportSettings.model_validate_json, required=True, help="JSON")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    arguments = parser.parse_args(argv)
    tables = build_tables(
        by_id(read_json(arguments.results)),
        read_scores(arguments.scores),
        read_expected(arguments.reported, ReportedFigures),
        read_expected(arguments.expected, ScaleExpectations),
        arguments.settings,
    )
    for table in tables:
        for suffix, write in WRITERS.items():
            write_atomically(arguments.output / f"{table.name}.{suffix}", write(table))
    print(f"{len(tables)} tables in {arguments.output}")


if __name__ == "__main__":
    run_command(main)
