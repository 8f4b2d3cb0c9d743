"""The size of data and trainings beside the report's, each value from the manifests and runs that a page shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.report.expected import ReportedSetup
from workflow_scripts.report.pages import format_duration
from workflow_scripts.report.tables import Matrix

_SECONDS = {"h": 3600, "min": 60}


def build_setup_table(
    reported: Sequence[ReportedSetup],
    runs: Sequence[Mapping[str, Any]],
    downloads: Sequence[Mapping[str, Any]],
    pairs: Mapping[str, Any] | None,
    pictures_searched: int | None,
) -> Matrix:
    """What the report says of its data and trainings beside ours; what a scale has not is an empty cell."""
    ours = _of_trainings(runs) | _of_pairs(pairs, downloads)
    if pictures_searched is not None:
        ours["search.pictures"] = pictures_searched
    lines = [[one.what, _text(one.value, one.unit), _text(ours.get(one.id), one.unit)] for one in reported]
    return Matrix("setup", "Data and trainings", ("", "report", "ours"), lines)


def _of_trainings(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Figures of the first training of each stage, which is that of the system as described."""
    found: dict[str, float] = {}
    for run in reversed(runs):
        values = {"samples": run["samples"], "hours": run["seconds"] / 3600, "minutes": run["seconds"] / 60}
        values |= {name: run["settings"].get(name) for name in ("batch_size", "epochs", "learning_rate")}
        found |= {f"{run['stage']}.{name}": value for name, value in values.items() if value is not None}
        found["adaptor.parameters"] = run["trainable_parameters"]
    return found


def _of_pairs(pairs: Mapping[str, Any] | None, downloads: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {"pairs.count": pairs["count"]} if pairs else {}
    asked = [one for one in downloads if one["name"] in ((pairs or {}).get("sources") or {})]
    requested = sum(one["requested"] for one in asked)
    if requested:
        found["pairs.dead_links"] = 100 * (1 - sum(one["count"] for one in asked) / requested)
    return found


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit in _SECONDS:
        return format_duration(value * _SECONDS[unit])
    if unit == "%":
        return f"{value:.0f} %"
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else f"{value:g}"
