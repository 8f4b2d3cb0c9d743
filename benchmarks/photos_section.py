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


def language_models(result: dict[str, Any], table: Callable[..., str]) -> str:
    """What scale photos comes to with other language models, and what their training took."""
    rows, took = result["rows"], []
    for row in rows:
        minutes, precision = row["minutes"], row["precision"]
        same = precision["pretrain"] == precision["finetune"]
        words = precision["pretrain"] if same else f"{precision['pretrain']}, {precision['finetune']}"
        took.append(
            (
                row["name"],
                f"{row['trained_parameters']:,}",
                minutes["pretrain"],
                minutes["finetune"],
                words.replace("auto", "fp32"),
            )
        )
    one = rows[0]
    return "\n\n".join(
        [
            "## Scale photos with other language models",
            "`python -m benchmarks.language_models_of_photos`: figures of the validation splits after one pretraining "
            "and one finetuning each, with 95 % intervals.",
            table(
                ("language model", *SHOWN.values()),
                [(row["name"], *(_figure(row["figures"], name) for name in SHOWN)) for row in rows],
            ),
            f"Trained on {one['threads']} thread of {one['cpu'].split(',')[0]}, two trainings side by side:",
            table(
                ("language model", "trained parameters", "pretraining, minutes", "finetuning, minutes", "precision"),
                took,
            ),
        ]
    )
