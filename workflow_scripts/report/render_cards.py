"""Cards of a scale's data and of its trained adaptors, in Markdown, from the manifests of what was run."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.catalogue.load import Catalogue, load_catalogue
from workflow_scripts.catalogue.sources import Source
from workflow_scripts.command_line import read_json, run_command, write_atomically
from workflow_scripts.report.names import figure_name, run_name

Content = Mapping[str, Any]

DETERMINISM = """\
The order of samples is a pure function of seed and epoch. On one kind of device, with one number of processes and one
precision, a training that was interrupted any number of times ends bit for bit as one that was not; tests show it on
CPUs. Other devices, other numbers of processes and other versions of the libraries sum in another order and give
figures that differ in the last digits; every run says beside its weights what it ran on. Downloads of single pictures
differ from day to day: the checksum of each picture and the reason of each failure are kept.
"""
LIMITS = """\
Research on how much of a picture a language model reads through a small trained map. Answers are often wrong, follow
the frequencies of the training answers, and carry the biases of the captions and of the language model; nothing was
done against harmful answers. The licences of the frozen models and of the data hold for what is made with them, that of
LLaMA-2 and the non-commercial ones of some data sets among them.
"""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def counts_text(counts: Mapping[str, int]) -> str:
    """Return a histogram in words, the largest count first."""
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.items()) or "none"


def data_card(
    scale: str,
    images: Sequence[Content],
    tables: Mapping[str, Content],
    exclusions: Sequence[Content],
    rows: Catalogue,
) -> str:
    """Return the data card: counts, failures, licences, what was left out, and leakage."""
    sets = [(one["image_set"], rows.image_set(one["image_set"])) for one in images]
    used = {entry.data_set for _, row in sets for entry in row.lists} | {row.archive for _, row in sets if row.archive}
    used |= {f"{name}_pictures" for name, _ in sets} & rows.data_sets.keys()
    parts = [
        f"# Data card: scale {scale}",
        "## Pictures",
        table(
            ("image set", "asked for", "fetched", "%", "failures", "from"),
            (
                (
                    one["image_set"],
                    f"{one['requested']:,}",
                    f"{one['count']:,}",
                    f"{100 * one['success_rate']:.1f}",
                    counts_text(one["failures"]),
                    one["source"],
                )
                for one in images
            ),
        ),
        "## Samples",
        table(
            ("table", "samples", "pictures", "tasks", "left out"),
            (
                (
                    name,
                    f"{one['count']:,}",
                    f"{one['images']:,}",
                    counts_text(one["tasks"]),
                    counts_text(one["removed"]),
                )
                for name, one in tables.items()
            ),
        ),
        "## Leakage",
        _leakage(exclusions),
        "## Sources and licences",
        table(
            ("data set", "licence", "citation"),
            ((source.title, source.licence, source.citation) for source in _named(sorted(used), rows)),
        ),
    ]
    return "\n".join(parts)


def _leakage(exclusions: Sequence[Content]) -> str:
    if not exclusions:
        return (
            "No experiment of this configuration leaves out pictures that evaluations ask about, so they were not "
            "looked for.\n"
        )
    rows = [
        (name, reason, f"{count:,}")
        for one in exclusions
        for name, counts in one["counts"].items()
        for reason, count in counts.items()
    ]
    return (
        "Training pictures that evaluations ask about, found by their COCO ids. Experiments that exclude them leave "
        "them out; all others have trained on them.\n\n" + table(("training set", "asked about in", "pictures"), rows)
    )


def _named(names: Iterable[str], rows: Catalogue) -> list[Source]:
    return [rows.source(name) for name in names]


def model_card(scale: str, about: str, runs: Sequence[Content], results: Sequence[Content]) -> str:
    """Return the model card: what was trained from what, on what, how well it does, and what it is not for."""
    parts = [
        f"# Model card: the adaptors of scale {scale}",
        about,
        "An adaptor maps the 32 query outputs of a frozen feature extractor to soft tokens of a frozen language model; "
        "nothing else is trained.\n",
        "## Trainings",
        table(
            (
                "training",
                "run",
                "samples",
                "parameters",
                "batch",
                "epochs",
                "learning rate",
                "steps",
                "final loss",
                "ran on",
            ),
            (_run_row(run) for run in runs),
        ),
        "## Figures",
        table(
            ("figure", "value", "95 % interval", "n", "adaptor"),
            (
                (
                    figure_name(entry["id"]),
                    f"{entry['value']:.2f} {entry['unit']}",
                    "{:.2f} to {:.2f}".format(*entry["ci95"]) if entry["ci95"] else "",
                    f"{entry['n']:,}",
                    entry.get("adaptor_run_id") or "",
                )
                for entry in results
            ),
        ),
        "## Determinism",
        DETERMINISM,
        "## What it is for, and not for",
        LIMITS,
    ]
    return "\n".join(parts)


def _run_row(run: Content) -> tuple[object, ...]:
    settings, environment = run["settings"], run["environment"]
    where = environment["gpu"] or environment["cpu"]
    return (
        run_name(run),
        run["run_id"],
        f"{run['samples']['count']:,}",
        f"{run['trainable_parameters']:,}",
        settings["batch_size"],
        settings["epochs"],
        f"{settings['learning_rate']:g}",
        f"{run['steps']:,}",
        f"{run['final_loss']:.3f}",
        f"{environment['processes']} x {where}, torch {environment['packages']['torch']}",
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: manifests of images and tables, runs, results; writes both cards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", required=True)
    parser.add_argument("--about", default="", help="a sentence on the scale")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="manifest.json of image sets")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="manifest.json of pairs and mixes")
    parser.add_argument("--exclusions", type=Path, nargs="*", default=[], help="exclusions.json")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of trainings")
    parser.add_argument("--results", type=Path, required=True, help="results.json")
    parser.add_argument("--output-data", type=Path, required=True)
    parser.add_argument("--output-model", type=Path, required=True)
    parser.add_argument("--catalogue", nargs="+", default=[], help="more files, or folders, of rows")
    arguments = parser.parse_args(argv)
    images = [read_json(path) for path in arguments.images]
    tables = {path.parent.name: read_json(path) for path in arguments.tables}
    exclusions = [read_json(path) for path in arguments.exclusions]
    rows = load_catalogue(arguments.catalogue)
    write_atomically(arguments.output_data, data_card(arguments.scale, images, tables, exclusions, rows))
    runs = [read_json(path) for path in arguments.runs]
    results = read_json(arguments.results)
    write_atomically(arguments.output_model, model_card(arguments.scale, arguments.about, runs, results))


if __name__ == "__main__":
    run_command(main)
