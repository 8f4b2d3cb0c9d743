"""The report's figures as SVG: learning curves, retrieval curve, exact match with its controls, kinds of questions."""

import argparse
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.command_line import read_json, run_command, write_atomically
from workflow_scripts.given_files import lines_of
from workflow_scripts.report.collect_results import read_scores
from workflow_scripts.report.names import METHODS, PHOTO_METHODS, run_name

INK, GREY = "#1c1c1c", "#8a8a86"
COLOURS = ("#0f4c81", "#c8553d", "#4d7c52", "#8a6d3b", "#6b5b95", "#3a7d86")
STYLE = {
    "font.family": "serif",
    "font.serif": ["Charter", "Bitstream Charter", "Georgia", "DejaVu Serif"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
}
_EXACT_MATCH = {
    "before": "before finetuning",
    "question_only": "question only",
    "after_shuffled_images": "after, images shuffled",
    "after": "after finetuning",
}


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Metric lines of a run, from the file that its run.json names."""
    path = run.parent / read_json(run).get("metrics", "metrics.jsonl")
    if not path.exists():
        raise ValueError(f"{path} does not exist, though {run} names it; train again.")
    return [json.loads(line) for _, line in lines_of(path.read_text(encoding="utf-8"))]


def draw_learning_curves(runs: Sequence[Path]) -> Figure | None:
    """Loss and learning rate of each run over its steps, one column a run."""
    curves = [(read_json(run), read_metrics(run)) for run in runs]
    if not curves:
        return None
    figure = Figure(figsize=(max(3.2 * len(curves), 6.4), 3.9), layout="constrained")
    axes = figure.subplots(2, len(curves), squeeze=False, sharex="col", height_ratios=[2.4, 1])
    for column, (run, metrics) in enumerate(curves):
        top, bottom = axes[:, column]
        _draw_loss(top, metrics)
        rates = [(line["step"], line["lr"]) for line in metrics if line.get("lr") is not None]
        if rates:
            marker = "o" if len(rates) < 3 else ""
            bottom.plot(*zip(*rates, strict=True), marker=marker, color=COLOURS[1], linewidth=1.2)
        bottom.set_xlabel("step")
        bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        top.set_title(run_name(run), fontsize=10, color=INK)
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("learning rate")
    return figure


def _draw_loss(axes: Axes, metrics: Sequence[Mapping[str, Any]]) -> None:
    loss = np.array([(line["step"], line["loss"]) for line in metrics if line.get("loss") is not None])
    if len(loss):
        axes.plot(loss[:, 0], loss[:, 1], color=COLOURS[0], linewidth=0.6, alpha=0.3)
        window = max(1, len(loss) // 25)
        kernel = np.ones(window)
        smooth = np.convolve(loss[:, 1], kernel, "same") / np.convolve(np.ones(len(loss)), kernel, "same")
        marker = "o" if len(loss) < 3 else ""
        axes.plot(loss[:, 0], smooth, marker=marker, color=COLOURS[0], linewidth=1.5, label="training")
    validation = [
        (line["step"], line["validation_loss"]) for line in metrics if line.get("validation_loss") is not None
    ]
    if validation:
        axes.plot(*zip(*validation, strict=True), "o", color=COLOURS[1], markersize=4, label="validation")
        axes.legend(fontsize=9)


def draw_retrieval_curve(scores: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Recall at k over k for each method whose scores have the curve."""
    curves = [one for one in scores if one.get("recall_curve")]
    if not curves:
        return None
    figure = Figure(figsize=(5.6, 3.7), layout="constrained")
    axes = figure.subplots()
    for one, colour in zip(curves, COLOURS * len(curves), strict=False):
        ks = [int(k) for k in one["recall_curve"]]
        method = one["id"].rsplit(".", 1)[-1]
        axes.plot(
            ks, list(one["recall_curve"].values()), color=colour, label=(METHODS | PHOTO_METHODS).get(method, method)
        )
    chance = 100 / curves[0]["images"]
    axes.plot(ks, [min(100, chance * k) for k in ks], color=GREY, linestyle=":", label="chance")
    axes.set(xlabel="k", ylabel="recall at k, %", ylim=(0, 100), xlim=(1, max(ks)))
    figure.legend(fontsize=9, ncols=2, loc="outside upper left")  # the curves fill the axes
    return figure


def draw_exact_match(scores: Sequence[Mapping[str, Any]], data: str = "visual_genome") -> Figure | None:
    """Exact match before and after finetuning and of the two controls, with intervals."""
    found = {figure["id"].rsplit(".", 1)[-1]: figure for figure in _figures(scores, f"{data}.exact_match.")}
    shown = [(label, found[name]) for name, label in _EXACT_MATCH.items() if name in found]
    if not shown:
        return None
    figure = Figure(figsize=(5.2, 0.55 * len(shown) + 0.9), layout="constrained")
    axes = figure.subplots()
    for row, (label, one) in enumerate(reversed(shown)):
        low, high = interval_of(one)
        axes.barh(row, one["value"], height=0.62, color=COLOURS[0] if label == "after finetuning" else "#a9b7c4")
        axes.plot([low, high], [row, row], color=INK, linewidth=1.2)
        axes.text(high + 1, row, f"{one['value']:.1f}", va="center", color=INK)
    axes.set_yticks(range(len(shown)), [label for label, _ in reversed(shown)])
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="exact match, %", xlim=(0, max(10.0, *(interval_of(one)[1] for _, one in shown)) * 1.12))
    return figure


def interval_of(figure: Mapping[str, Any]) -> tuple[float, float]:
    """The interval of a figure, or its value twice where it has none."""
    low, high = figure["ci95"] or [figure["value"]] * 2
    return low, high


def draw_kinds(scores: Sequence[Mapping[str, Any]], data: str = "visual_genome") -> Figure | None:
    """Exact match by kind of question, after finetuning and of the two controls."""
    found = {
        one["id"].rsplit(".", 1)[-1]: one["breakdown"]
        for one in scores
        if one["id"].startswith(f"{data}.exact_match.") and one.get("breakdown")
    }
    shown = [name for name in ("question_only", "after_shuffled_images", "after") if name in found]
    if "after" not in found:
        return None
    kinds = sorted(found["after"], key=lambda kind: found["after"][kind]["value"])
    figure = Figure(figsize=(5.2, 0.42 * len(kinds) + 1.1), layout="constrained")
    axes = figure.subplots()
    styles = {"question_only": ("D", GREY), "after_shuffled_images": ("s", COLOURS[1]), "after": ("o", COLOURS[0])}
    for row, kind in enumerate(kinds):
        values = [found[name][kind]["value"] for name in shown if kind in found[name]]
        axes.plot([min(values), max(values)], [row, row], color="#d5d5d0", linewidth=2.5, zorder=0)
    for name in shown:
        points = [(found[name][kind]["value"], row) for row, kind in enumerate(kinds) if kind in found[name]]
        marker, colour = styles[name]
        axes.plot(
            *zip(*points, strict=True), marker, color=colour, markersize=6, label=_EXACT_MATCH[name], clip_on=False
        )
    axes.set_yticks(range(len(kinds)), [f"{kind} ({found['after'][kind]['n']})" for kind in kinds])
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="exact match, %", xlim=(-2, 102))
    axes.legend(fontsize=9, ncols=3, loc="lower center", bbox_to_anchor=(0.42, 1.0))
    return figure


def _figures(scores: Sequence[Mapping[str, Any]], prefix: str) -> list[Mapping[str, Any]]:
    return [figure for one in scores for figure in one["figures"] if figure["id"].startswith(prefix)]


def to_svg(figure: Figure) -> str:
    """A figure as SVG whose bytes follow from its content alone."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="scores.json files")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="run.json files of trainings, in their order")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figures")
    arguments = parser.parse_args(argv)
    scores = read_scores(arguments.scores)
    drawings: dict[str, Callable[[], Figure | None]] = {
        "learning_curves": lambda: draw_learning_curves(arguments.runs),
        "retrieval_curve": lambda: draw_retrieval_curve(scores),
        "exact_match": lambda: draw_exact_match(scores),
        "kinds": lambda: draw_kinds(scores),
        "daquar_exact_match": lambda: draw_exact_match(scores, "daquar"),
        "daquar_kinds": lambda: draw_kinds(scores, "daquar"),
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    drawn = 0
    with mpl.rc_context(STYLE):
        for name, draw in drawings.items():
            path = arguments.output / f"{name}.svg"
            figure = draw()
            if figure is None:
                path.unlink(missing_ok=True)
                continue
            write_atomically(path, to_svg(figure))
            drawn += 1
    print(f"{drawn} figures in {arguments.output}")


if __name__ == "__main__":
    run_command(main)
