"""Write the report: one self-contained HTML page."""

import argparse
import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, run_command, write_atomically
from workflow_scripts.config.report import ReportSettings
from workflow_scripts.files.walk import find_all
from workflow_scripts.report.collect_results import read_scores
from workflow_scripts.report.expected import (
    ReportedFigures,
    ScaleExpectations,
    by_id,
    read_expected,
)
from workflow_scripts.report.experiment_table import build_experiment_table
from workflow_scripts.report.names import split_experiment
from workflow_scripts.report.pages import inline_svg, render
from workflow_scripts.report.photo_tables import has_photographs
from workflow_scripts.report.provenance import Origin, describe_runs, origin_of, places_of, wording_anchor
from workflow_scripts.report.render_tables import breakdowns_of, build_tables
from workflow_scripts.report.setup_table import Ours, build_setup_table
from workflow_scripts.survey.table import to_matrix

ANSWERED = "visual_genome.exact_match.after"
SURVEY_PLACE = "scoring-survey"
_RUN = re.compile(r"-[0-9a-f]{12}$")


def describe_downloads(manifests: Sequence[Path]) -> list[dict[str, Any]]:
    """Requested and downloaded pictures of each image set, with the failures, most frequent first."""
    sets = []
    for path in manifests:
        manifest = read_json(path)
        failures = sorted(manifest.get("failures", {}).items(), key=lambda item: -item[1])
        sets.append(
            {
                "name": manifest["image_set"],
                "place": f"manifest-{manifest['image_set']}",
                "requested": manifest["requested"],
                "count": manifest["count"],
                "success_rate": 100 * manifest["success_rate"],
                "failures": failures,
            }
        )
    return sets


def sum_failures(downloads: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Failures of all image sets by reason, most frequent first."""
    total: dict[str, int] = {}
    for one in downloads:
        for reason, number in one["failures"]:
            total[reason] = total.get(reason, 0) + number
    return sorted(total.items(), key=lambda item: -item[1])


def describe_flow(
    downloads: Sequence[Mapping[str, Any]], pairs: Mapping[str, Any] | None, runs: Sequence[Mapping[str, Any]]
) -> list[tuple[int, str]]:
    """How many pictures and captions of the pretraining data are left after each step."""
    sources = (pairs or {}).get("sources") or {}
    steps = []
    asked = [one for one in downloads if one["name"] in sources] or downloads
    if asked:
        steps.append((sum(one["requested"] for one in asked), "pictures asked for"))
        steps.append((sum(one["count"] for one in asked), "downloaded and sound"))
    if sources:
        steps.append((sum(one["captions"] for one in sources.values()), "captions"))
    if pairs:
        steps.append((pairs["count"], "image-caption pairs after the filter"))
    trained = [run["samples"] for run in runs if run["stage"] == "pretrain"]
    if trained:
        steps.append((trained[0], "trained on in pretraining"))
    return steps


def describe_unreadable(scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """How many replies to referring expressions held no box, a sentence for each scoring that counted them."""
    sentences = []
    for one in scores:
        if "unparsable" not in one:
            continue
        number, n = one["unparsable"], one["figures"][0]["n"]
        said = f"{number} of {n} replies held no box that can be read; they count as wrong."
        if number == 0:
            said = f"All {n} replies held a box that can be read."
        experiment = split_experiment(one["id"])[1]
        sentences.append(f"Experiment {experiment}: {said}" if experiment else said)
    return sentences


def describe_survey(folder: Path, reported: ReportedFigures) -> dict[str, Any]:
    """Table 3 with its note, the nine questions, and the plot where somebody has answered."""
    path = folder / "summary.json"
    summary = read_json(path)
    plot = folder / "distribution.svg"
    table = to_matrix(summary)
    quoted = next((one.wording for one in reported.figures if one.id.startswith("survey.")), None)
    places = {2: SURVEY_PLACE, 3: SURVEY_PLACE, 4: SURVEY_PLACE} | ({1: wording_anchor(quoted)} if quoted else {})
    links = {(row, column): place for row in range(len(table.lines)) for column, place in places.items()}
    return {
        "table": replace(table, links=links),
        "origin": Origin(
            anchor=SURVEY_PLACE,
            id="survey",
            figures=tuple(row["id"] for row in summary["rows"]),
            scores=str(path),
            run_id=None,
            adaptor_run_id=summary["run_id"],
            command=summary.get("command"),
            inputs=summary.get("inputs", {}),
        ),
        "id": summary["survey"],
        "run_id": summary["run_id"],
        "questions": summary["questions"],
        "responses": summary["responses"],
        "other_responses": summary["other_responses"],
        "plot": inline_svg(plot) if plot.exists() else None,
    }


def describe_quotations(reported: ReportedFigures) -> list[dict[str, Any]]:
    """What the reference says, word for word, with the places that it stands in."""
    sources: dict[str, dict[str, None]] = {}
    for one in (*reported.figures, *reported.setup, *reported.others):
        sources.setdefault(one.wording, {})[one.source] = None
    return [
        {"anchor": wording_anchor(key), "words": reported.wordings[key], "sources": list(found)}
        for key, found in sources.items()
    ]


def read_times(folder: Path) -> list[dict[str, Any]]:
    """Seconds and peak memory of the jobs of each rule, from Snakemake's benchmark files, longest first.

    The rule is the name of the sub-folder or, where a file lies directly in the folder, of the file.
    """
    rules: dict[str, dict[str, Any]] = {}
    for path in find_all(folder, "*.tsv"):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        with open(path, encoding="utf-8", newline="") as stream:
            for line in csv.DictReader(stream, delimiter="\t"):
                row = rules.setdefault(rule, {"rule": rule, "jobs": 0, "seconds": 0.0, "memory": 0.0, "cpu": 0.0})
                row["jobs"] += 1
                row["seconds"] += float(line["s"])
                cpu = line.get("cpu_time") or "-"  # a job that ends within a second has none
                row["cpu"] += 0.0 if cpu in ("-", "NA") else float(cpu)
                memory = line.get("max_rss", "-")
                row["memory"] = max(row["memory"], 0.0 if memory in ("-", "NA") else float(memory))
    return sorted(rules.values(), key=lambda row: -row["seconds"])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=ReportSettings.model_validate_json, required=True)
    parser.add_argument("--results", type=Path, required=True, help="results.json")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="scores.json files")
    parser.add_argument("--reported", type=Path, default=Path("expected/report.yaml"))
    parser.add_argument("--expected", type=Path, required=True, help="expected/<scale>.yaml")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the SVG figures")
    parser.add_argument("--examples", type=Path, nargs="*", default=[], help="examples.json files, in their order")
    parser.add_argument("--sheet", type=Path, help="sheet.json of search.sheet")
    parser.add_argument("--attention", type=Path, help="attention.json of draw_attention")
    parser.add_argument(
        "--experiments",
        type=json.loads,
        help='JSON of a table of experiments and benchmarks: {experiment: {figure id: "scores.json"}}',
    )
    parser.add_argument("--more-experiments", nargs="*", default=[], help="names of experiments that are not shown")
    parser.add_argument("--survey", type=Path, help="folder of survey.summarise")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run.json files of trainings, in their order")
    parser.add_argument("--image-manifests", type=Path, nargs="*", default=[], help="manifests of the image sets")
    parser.add_argument("--pairs", type=Path, help="manifest of the image-caption pairs")
    parser.add_argument("--mixes", type=Path, nargs="*", default=[], help="manifests of the finetuning data")
    parser.add_argument("--times", type=Path, help="folder of the benchmark files (.tsv) of Snakemake's jobs")
    parser.add_argument("--output", type=Path, required=True, help="index.html to write")
    arguments = parser.parse_args(argv)

    settings: ReportSettings = arguments.settings
    results = by_id(read_json(arguments.results))
    scores = read_scores(arguments.scores)
    breakdowns = breakdowns_of(scores)
    reported = read_expected(arguments.reported, ReportedFigures)
    scale = read_expected(arguments.expected, ScaleExpectations)
    downloads = describe_downloads(arguments.image_manifests)
    runs = describe_runs(arguments.runs)
    origins = [origin_of(one) for one in scores]
    experiments = build_experiment_table(arguments.experiments) if arguments.experiments else None
    told = {origin.anchor for origin in origins}
    sheet = read_json(arguments.sheet) if arguments.sheet else None
    pairs = read_json(arguments.pairs) if arguments.pairs else None
    mixes = [read_json(path) | {"name": _RUN.sub("", path.parent.name)} for path in arguments.mixes]
    survey = describe_survey(arguments.survey, reported) if arguments.survey else None
    manifests = {one["name"]: path for one, path in zip(downloads, arguments.image_manifests, strict=True)}
    manifests |= {"pairs": arguments.pairs} if arguments.pairs else {}
    manifests |= {mix["name"]: path for mix, path in zip(mixes, arguments.mixes, strict=True)}
    counts: Ours = {}
    if sheet:
        counts["search.pictures"] = (sheet["count"], "search")
    if ANSWERED in results:
        counts["visual_genome.questions"] = (results[ANSWERED]["n"], ANSWERED)
    if survey and survey["responses"]:
        counts["survey.people"] = (survey["responses"], SURVEY_PLACE)
    setup = build_setup_table(reported.setup, runs, downloads, pairs, mixes, counts)
    requirements = []
    for requirement in scale.requirements:
        found, reached = requirement.check(results, breakdowns)
        requirements.append(
            {"level": requirement.level, "statement": requirement.statement, "found": found, "reached": reached}
            | {"figure": requirement.figure, "reason": requirement.reason(reached)}
        )
    page = render(
        "report.html.j2",
        {
            "settings": settings,
            "tables": build_tables(results, scores, reported, scale, settings),
            "photographs": has_photographs(results),
            "reported_source": reported.source,
            "scale": scale,
            "requirements": requirements,
            "unreadable": describe_unreadable(scores),
            "figures": {path.stem: inline_svg(path) for path in sorted(arguments.figures.glob("*.svg"))},
            "examples": [read_json(path) for path in arguments.examples],
            "sheet": sheet,
            "attention": read_json(arguments.attention) if arguments.attention else [],
            "experiments": experiments,
            "more_experiments": [] if experiments else arguments.more_experiments,
            "experiments_matrix": experiments.to_matrix() if experiments else None,
            "more_scorings": [one for one in experiments.scorings if one[1].origin.anchor not in told]
            if experiments
            else [],
            "survey": survey,
            "runs": runs,
            "setup": setup,
            "downloads": downloads,
            "failures": sum_failures(downloads),
            "pairs": pairs,
            "flow": describe_flow(downloads, pairs, runs),
            "mixes": mixes,
            "manifests": places_of(manifests),
            "quotations": describe_quotations(reported),
            "times": read_times(arguments.times) if arguments.times else [],
            "times_folder": str(arguments.times),
            "origins": origins,
            "origin_of": {figure: origin.anchor for origin in origins for figure in origin.figures},
            "definitions": {one["benchmark"]: one["definition"] for one in scores},
        },
    )
    write_atomically(arguments.output, page)
    print(f"the report: {arguments.output} ({len(page) / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_command(main)
