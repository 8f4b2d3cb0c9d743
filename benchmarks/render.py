"""Write benchmarks/README.md from the JSON files in benchmarks/measured: `python -m benchmarks.render`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import data_section, photos_section, scoring_section, search_sections
from workflow_scripts.command_line import read_json, write_atomically

FOLDER = Path(__file__).resolve().parent
HEAD = """# Benchmarks

Written by `python -m benchmarks.render` from the files in `measured/`, which the scripts here write; nothing is typed.
They are run by hand, most of them on finished results, from the project's folder and inside its environment.
"""
PARTS = {
    "plain": "opens pictures and runs the frozen encoder in every step, random batches padded to the longest, logits "
    "at all positions (the structure of MiniGPT-4's loop)",
    "features cached": "query outputs read from the feature store",
    "grouped by length": "batches of like lengths out of windows of several batches",
    "logits at answers only": "no logits where no loss is taken",
    "this project's training": "the loop of `train_adaptor` itself: all of that, with DeepSpeed, metrics, clipping",
    "the same with online features": "the same loop with the frozen extractor inside, on pictures out of the shards",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def throughput(result: dict[str, Any]) -> str:
    """The section of a run of training_throughput.py."""
    rows = [
        (
            row["variant"],
            row["samples_per_second"],
            f"{row['ratio']:.2f}",
            f"{row['cpu_ratio']:.2f}",
            f"{row['ratio_to_row_before']:.2f}" if "ratio_to_row_before" in row else "",
            PARTS[row["variant"]],
        )
        for row in result["rows"]
    ]
    header = ("variant", "samples/s", "ratio", "ratio by processor time", "to the row before", "what it does")
    shared = result["samples_per_image"]
    packed = (
        f"; the project's own keep {shared} samples of an image behind one copy of its tokens" if shared > 1 else ""
    )
    load = f" The machine's load average was {result['load_average']}." if "load_average" in result else ""
    tokens = result["tokens"]
    return "\n\n".join(
        [
            f"## Training of the adaptor, scale {result['scale']}",
            f"`python -m benchmarks.training_throughput --run results/{result['scale']}/pretrain/report-{result['run']}"
            f" --output benchmarks/measured/throughput_{result['scale']}.json`: {result['samples']:,} samples, batches "
            f"of {result['batch_size']}, one process on one thread of {result['cpu'].split(',')[0]}; medians of "
            f"{result['rounds']} rounds of {result['steps_a_round']} steps, all variants in turn{packed}.{load}",
            table(header, rows),
            f"A sample has {tokens['mean']} tokens, padded to {tokens['padded_random']} in random batches and to "
            f"{tokens['padded_grouped']} in grouped ones.",
            *_operations(result),
        ]
    )


def _operations(result: dict[str, Any]) -> list[str]:
    """What the parts save of the operations, at the sizes of the run and at the report's."""
    sizes = {"full_size": "the report's size (LLaMA-2-7b, EVA-CLIP-g at 224 pixels, 24 samples a GPU of these lengths)"}
    if "own_size" in result:  # which earlier results have not
        sizes = {"own_size": "these sizes"} | sizes
    text = []
    for key, where in sizes.items():
        rows = [
            (row["variant"], f"{1000 * row['teraflops_a_sample']:.4g}", f"{row['ratio']:.2f}") for row in result[key]
        ]
        text += [f"By operations alone, at {where} and equal utilisation:"]
        text += [table(("variant", "GFLOPs a sample", "ratio"), rows)]
    return text


def overhead(result: dict[str, Any]) -> str:
    """The section of overhead.py."""
    wall, processor = result["percent"], result["percent_by_processor_time"]
    parts = {
        "checkpoint": ("a checkpoint", f"{1000 * result['seconds_of_a_checkpoint']:.0f} ms"),
        "checkpoint_of_full_size": (
            "the same with the report's 3,149,824 parameters",
            f"{1000 * result['seconds_of_a_checkpoint_of_full_size']:.0f} ms",
        ),
        "metrics": (
            f"{result['lines_a_minute']:,.0f} lines of metrics",
            f"{1e6 * result['seconds_of_a_line']:.0f} microseconds each",
        ),
        "follower": (
            "the process that follows for MLflow, at lowest priority",
            f"{result['follower_cpu_seconds_a_minute']:.2f} s of a core",
        ),
        "follower_of_full_size": (
            f"the same beside the {result['lines_of_full_size']:,} lines of the report's pretraining",
            f"{result['follower_cpu_seconds_a_minute_at_full_size']:.2f} s of a core",
        ),
        "sum": ("together", ""),
        "sum_at_full_size": ("together, at the report's size", ""),
    }
    rows = [(*told, f"{wall[name]:.2f} %", f"{processor[name]:.2f} %") for name, told in parts.items()]
    return "\n\n".join(
        [
            "## Checkpoints and tracking, at one checkpoint a minute",
            f"`python -m benchmarks.overhead --run results/{result['scale']}/pretrain/report-{result['run']} --output "
            f"benchmarks/measured/overhead.json`, on {result['cpu'].split(',')[0]} with a load average of "
            f"{result['load_average']}. A step of this training takes {1000 * result['seconds_of_a_step']:.0f} ms; the "
            "follower's share is the training's loss only where no core is free.",
            table(("part", "takes", "share of a minute", "by processor time"), rows),
            f"Starting the follower takes {result['follower_cpu_seconds_of_the_start']:.0f} s of a core once, at "
            "lowest priority, half a minute after the training began.",
        ]
    )


def resume(result: dict[str, Any]) -> str:
    """The section of resume_anywhere.py."""
    rows = [
        (f"{row['step']:,}", row["epoch"], row["seconds"], row["opening"], row["finding"], row["cpu_seconds"])
        for row in result["rows"]
    ]
    header = ("step", "epoch", "seconds to the first batch", "opening", "order and batch", "processor seconds")
    return "\n\n".join(
        [
            "## Going on at any position",
            f"`python -m benchmarks.resume_anywhere --output benchmarks/measured/resume_anywhere.json`: "
            f"{result['samples']:,} samples, batches of {result['batch_size']}, medians of {result['repeats']}; all is "
            f"opened anew for each, on a machine with a load average of {result['load_average']}. Where the clock says "
            "more than the processor, the machine had other work.",
            table(header, rows),
        ]
    )


def questions_without_language_model(result: dict[str, Any]) -> str:
    """The section of questions_without_language_model.py."""
    told = {
        "right": "with the right photographs",
        "shuffled": "with those of other rooms",
        "question_only": "trained and asked without photographs",
    }
    found = result["exact_match"]
    rows = [(what, f"{sum(found[name]) / len(found[name]):.1f}", *found[name]) for name, what in told.items()]
    return "\n\n".join(
        [
            "## What the features can tell of DAQUAR's answers, scale photos",
            "`python -m benchmarks.questions_without_language_model --results results/photos --output "
            "benchmarks/measured/questions_without_language_model.json`: a reader with an attention of its own over "
            "the query outputs in the place of adaptor and language model, trained on "
            f"{result['trained_on']:,} questions, "
            f"asked {result['asked']:,} about other rooms; exact match in percent. The most frequent answer gets "
            f"{result['most_frequent_answer']}.",
            table(("exact match", "mean", *(f"seed {seed}" for seed in range(len(found["right"])))), rows),
            "What the whole system has below the first row is lost behind the features; what the first row has above "
            "the third is all that these features were seen to add to a question's own words.",
        ]
    )


def questions_by_linear_models(result: dict[str, Any]) -> str:
    """The section of questions_by_linear_models.py."""

    def told(figure: dict[str, Any]) -> str:
        low, high = figure["ci95"]
        return f"{figure['value']} [{low}, {high}]"

    rows = [("none", "", told(result["words_alone"]), "", "")]
    rows += [
        (way["photograph"], told(way["right"]), "", told(way["shuffled"]), f"{way['penalty']:g}, {way['weight']:g}")
        for way in result["ways"]
    ]
    header = ("photograph by", "right photographs", "words alone", "those of other rooms", "penalty, weight")
    return "\n\n".join(
        [
            "## How far linear models come with the same questions",
            "`python -m benchmarks.questions_by_linear_models --results results/photos --output "
            "benchmarks/measured/questions_by_linear_models.json`: logistic regression over a question's words, and "
            "added to it a ridge regression from the photograph to the answers that were given about a room; both "
            f"fitted to {result['trained_on']:,} questions, {result['asked']:,} asked about other rooms; exact match "
            "in percent, 95 % intervals over photographs.",
            table(header, rows),
            "The last two rows differ by what the Q-Former adds to the photograph or loses of it.",
        ]
    )


SECTIONS = {
    "training_throughput": throughput,
    "overhead": overhead,
    "resume_anywhere": resume,
    "data_path": partial(data_section.data_path, table=table),
    "scoring_speed": partial(scoring_section.scoring_speed, table=table),
    "search_speed": partial(search_sections.search_speed, table=table),
    "questions_without_language_model": questions_without_language_model,
    "questions_by_linear_models": questions_by_linear_models,
    "language_models_of_photos": partial(photos_section.language_models, table=table),
    "cold_start": partial(search_sections.cold_start, table=table),
}


def render(folder: Path = FOLDER / "measured") -> str:
    """The text of the README over all results in a folder."""
    results = [read_json(path) for path in sorted(folder.glob("*.json"))]
    results.sort(key=lambda result: list(SECTIONS).index(result["benchmark"]))
    return "\n\n".join([HEAD.strip(), *(SECTIONS[result["benchmark"]](result) for result in results)]) + "\n"


def main() -> None:
    write_atomically(FOLDER / "README.md", render())


if __name__ == "__main__":
    main()
