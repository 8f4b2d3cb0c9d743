"""What scale photos comes to with another language model, or with one that is not wholly frozen.

    python -m benchmarks.language_models_of_photos --row "small LLaMA, frozen" results/photos/finetune/report-* \
        --row "the same with additions" results/photos/finetune/low_rank-* \
        --output benchmarks/measured/language_models_of_photos.json

The results are of `--config scale=photos flickr8k_captions='{predict: null}'`: captions of all rows are greedy.

A row is a name and the folder of a finetuning in finished results. Its figures are read from the scores of this
training and of the pretraining that it went on from, settings and times from the records of both.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, run_command, write_json

FIGURES = {
    "flickr8k.captions.cider": "pretrain",
    "flickr8k.captions.cider_shuffled_images": "pretrain",
    "flickr8k.captions.bleu_4": "pretrain",
    "flickr8k.is_true.accuracy": "finetune",
    "daquar.exact_match.before": "pretrain",
    "daquar.exact_match.after": "finetune",
    "daquar.exact_match.after_shuffled_images": "finetune",
}
"""The figures of a row, and the training that each of them is of."""


def trainings_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The records of a finetuning and of the pretraining that it went on from."""
    finetune = read_json(folder / "run.json")
    records = [read_json(path) for path in sorted(folder.parents[1].glob("pretrain/*/run.json"))]
    return {
        "pretrain": next(record for record in records if record["adaptor_sha256"] == finetune["initial_adaptor"]),
        "finetune": finetune,
    }


def row_of(folder: Path) -> dict[str, Any]:
    """Figures with intervals, times, precision and the number of trained parameters of a finetuning's experiment."""
    trainings = trainings_of(folder)
    stage_of = {record["run_id"]: stage for stage, record in trainings.items()}
    figures = {}
    for path in sorted(folder.parents[1].glob("evaluation/*/*/scores.json")):
        scores = read_json(path)
        for figure in scores.get("figures", []):
            plain = re.sub(r"@\w+", "", figure["id"])  # rows beside the report's carry their name
            if FIGURES.get(plain) == stage_of.get(scores.get("adaptor_run_id"), ""):
                figures[plain] = {key: figure[key] for key in ("value", "ci95", "n")}
    finetune = trainings["finetune"]
    return {
        "trained_parameters": finetune["trainable_parameters"],
        "precision": {stage: record["settings"]["precision"] for stage, record in trainings.items()},
        "minutes": {stage: round(record["seconds"] / 60, 1) for stage, record in trainings.items()},
        "threads": {stage: record["environment"]["threads"] for stage, record in trainings.items()},
        "epochs": {stage: record["settings"]["epochs"] for stage, record in trainings.items()},
        "cpu": finetune["environment"]["cpu"],
        "figures": figures,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", nargs=2, action="append", required=True, metavar=("NAME", "FINETUNING"))
    parser.add_argument("--output", type=Path, required=True, help="the JSON file to write")
    arguments = parser.parse_args(argv)
    rows = [{"name": name, **row_of(Path(folder))} for name, folder in arguments.row]
    write_json(arguments.output, {"benchmark": "language_models_of_photos", "rows": rows})


if __name__ == "__main__":
    run_command(main)
