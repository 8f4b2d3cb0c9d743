"""The size of data and trainings beside the report's, each value from the manifests and runs that a page shows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workflow_scripts.report.expected import BOUNDS, ReportedSetup
from workflow_scripts.report.pages import format_duration
from workflow_scripts.report.provenance import wording_anchor
from workflow_scripts.report.tables import Matrix

_SECONDS = {"h": 3600, "min": 60}
_SETTINGS = ("batch_size", "epochs", "learning_rate_start", "learning_rate", "learning_rate_end")
Ours = dict[str, tuple[float, str]]  # id -> value and the place that says where it is from


def build_setup_table(
    reported: Sequence[ReportedSetup],
    runs: Sequence[Mapping[str, Any]],
    downloads: Sequence[Mapping[str, Any]],
    pairs: Mapping[str, Any] | None,
    mixes: Sequence[Mapping[str, Any]] = (),
    others: Ours | None = None,
) -> Matrix:
    """What the report says of its data and trainings beside ours; what a scale has not is an empty cell.

    `others` are values that are from elsewhere, with the places that say from where.
    """
    ours = _of_trainings(runs) | _of_pairs(pairs, downloads) | _of_mixes(mixes) | (others or {})
    lines, links = [], {}
    for row, one in enumerate(reported):
        value, place = ours.get(one.id, (None, ""))
        lines.append([one.what, BOUNDS[one.bound] + _text(one.value, one.unit), _text(value, one.unit)])
        links[row, 1] = wording_anchor(one.wording)
        if place:
            links[row, 2] = place
    return Matrix("setup", "Data and trainings", ("", "report", "ours"), lines, links=links)


def _of_trainings(runs: Sequence[Mapping[str, Any]]) -> Ours:
    """Figures of the first training of each stage, which is that of the system as described."""
    found: Ours = {}
    for run in reversed(runs):
        place = f"training-{run['run_id']}"
        epochs = run["settings"].get("epochs")
        values = {"samples": run["samples"], "hours": run["seconds"] / 3600, "minutes": run["seconds"] / 60}
        values |= {"hours_an_epoch": values["hours"] / epochs} if epochs else {}
        values |= {name: run["settings"].get(name) for name in _SETTINGS}
        values["processes"] = run["environment"].get("processes")
        found |= {f"{run['stage']}.{name}": (value, place) for name, value in values.items() if value is not None}
        found["adaptor.parameters"] = (run["trainable_parameters"], place)
    return found


def _of_pairs(pairs: Mapping[str, Any] | None, downloads: Sequence[Mapping[str, Any]]) -> Ours:
    found: Ours = {}
    for id, key in (("pairs.count", "count"), ("pairs.average_tokens", "average_tokens")):
        if pairs and key in pairs:
            found[id] = (pairs[key], "manifest-pairs")
    asked = [one for one in downloads if one["name"] in ((pairs or {}).get("sources") or {})]
    requested = sum(one["requested"] for one in asked)
    if requested:
        share = 100 * (1 - sum(one["count"] for one in asked) / requested)
        found["pairs.dead_links"] = (share, f"manifest-{asked[0]['name']}")
    return found


def _of_mixes(mixes: Iterable[Mapping[str, Any]]) -> Ours:
    """Shares of the tasks in the finetuning's mix, the first that has them all."""
    for mix in mixes:
        tasks = mix.get("tasks") or {}
        if mix.get("count") and {"vqa", "relationship", "description"} <= tasks.keys():
            place = f"manifest-{mix['name']}"
            return {f"finetune.share.{task}": (100 * number / mix["count"], place) for task, number in tasks.items()}
    return {}


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit in _SECONDS:
        return format_duration(value * _SECONDS[unit])
    if unit == "%":
        return f"{value:.0f} %"
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else f"{value:.4g}"
