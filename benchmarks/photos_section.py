"""The section of language_models_of_photos.py."""

from collections.abc import Callable, Mapping
from typing import Any

SHOWN = {
    "flickr8k.captions.cider": "CIDEr",
    "flickr8k.captions.cider_shuffled_images": "CIDEr, shuffled",
    "flickr8k.captions.bleu_4": "BLEU-4",
    "flickr8k.is_true.accuracy": "is it true",
    "daquar.exact_match.before": "DAQUAR before",
    "daquar.exact_match.after": "after",
    "daquar.exact_match.after_shuffled_images": "after, shuffled",
}


def _figure(figures: Mapping[str, Any], name: str) -> str:
    if name not in figures:
        return "not measured"
    low, high = figures[name]["ci95"]
    return f"{figures[name]['value']:.1f} [{low:.1f}, {high:.1f}]"


def _took(row: Mapping[str, Any]) -> tuple[str, ...]:
    precision = row["precision"]
    words = ", ".join(dict.fromkeys([precision["pretrain"], precision["finetune"]])).replace("auto", "fp32")
    stages = [
        f"{row['epochs'][stage]}, {row['minutes'][stage]} min, {row['threads'][stage]}"
        for stage in ("pretrain", "finetune")
    ]
    return row["name"], f"{row['trained_parameters']:,}", *stages, words


def language_models(result: dict[str, Any], table: Callable[..., str]) -> str:
    """What scale photos comes to with other language models, and what their training took."""
    rows = result["rows"]
    return "\n\n".join(
        [
            "## Scale photos with other language models",
            "`python -m benchmarks.language_models_of_photos`: figures of the validation splits in percent (CIDEr "
            "times 100, captions without a search with beams, `--config flickr8k_captions='{predict: null}'`) with "
            f"95 % intervals, and what the trainings took on {rows[0]['cpu'].split(',')[0]} beside other work.",
            table(
                ("language model", *SHOWN.values()),
                [(row["name"], *(_figure(row["figures"], name) for name in SHOWN)) for row in rows],
            ),
            table(
                (
                    "language model",
                    "trained parameters",
                    "pretraining: epochs, time, threads",
                    "finetuning: the same",
                    "precision",
                ),
                [_took(row) for row in rows],
            ),
        ]
    )
