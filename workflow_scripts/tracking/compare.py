"""Say what differs between two trainings: parameters, data, code, environment, and figures with significance.

A and B are run folders, or run ids below --results. Figures are those of the evaluations of each training; where both
answered the same questions, a paired bootstrap says whether they differ, otherwise whether their intervals are apart.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, run_command
from workflow_scripts.evaluation import paired_bootstrap
from workflow_scripts.files.walk import find_all
from workflow_scripts.report.names import figure_name, run_name, split_experiment
from workflow_scripts.tracking.records import flatten

# Words of a figure's id that say which training was evaluated; without them, two trainings' figures are of one kind.
_VARIANTS = frozenset({"before", "after", "zero_shot", "finetuned", "pretrained"})


@dataclass(frozen=True)
class Difference:
    """One thing that differs: its name, and what it is in A and in B (nothing where one has no such thing)."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class FigureComparison:
    """One figure of both trainings, and whether they differ; `how` says by what that was found."""

    name: str
    a: float
    b: float
    verdict: str
    how: str


@dataclass
class Comparison:
    """All that differs between two trainings."""

    parameters: list[Difference] = field(default_factory=list)
    data: list[Difference] = field(default_factory=list)
    code: list[Difference] = field(default_factory=list)
    environment: list[Difference] = field(default_factory=list)
    figures: list[FigureComparison] = field(default_factory=list)


def find_run(name: str, results: Path) -> Path:
    """The folder of a finished training, by its path or by its id; ValueError where there is none, or several."""
    path = Path(name)
    path = path.parent if path.name == "run.json" else path
    if (path / "run.json").is_file():
        return path
    found = [one.parent for one in results.glob(f"*/*/*-{name}/run.json")] if name else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name} is the id of {len(found)} trainings: {', '.join(map(str, found))}; name a folder.")
    known = sorted(one.parent.name for one in results.glob("*/*/*/run.json"))
    listed = f"; there are {', '.join(known[:12])}" if known else ""
    raise ValueError(f"{name} is neither the folder nor the id of a finished training below {results}/{listed}.")


def compare(a: Path, b: Path) -> Comparison:
    """Compare two finished trainings by their run folders."""
    first, second = read_json(a / "run.json"), read_json(b / "run.json")
    found = Comparison()
    found.parameters = differences(first["settings"], second["settings"])
    found.data = differences(_data(first), _data(second))
    found.code = differences(
        {key: first.get(key) for key in ("code_digest", "git_revision")},
        {key: second.get(key) for key in ("code_digest", "git_revision")},
    )
    found.environment = differences(first.get("environment") or {}, second.get("environment") or {})
    ours, theirs = (_scores_of(folder, run) for folder, run in ((a, first), (b, second)))
    for key in sorted(ours.keys() & theirs.keys()):
        found.figures += list(compare_scores(ours[key], theirs[key]))
    return found


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    """What differs between two nested mappings, key by key."""
    ours, theirs = dict(flatten(a)), dict(flatten(b))
    return [
        Difference(key, ours.get(key, ""), theirs.get(key, ""))
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]


def compare_scores(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[FigureComparison]:
    """Compare the figures of two scores.json of one benchmark."""
    ours, theirs = ({_kind(one["id"]): one for one in scores["figures"]} for scores in (a, b))
    main = _kind(a["id"])
    for kind in sorted(ours.keys() & theirs.keys()):
        first, second = ours[kind], theirs[kind]
        verdict, how = _by_intervals(first, second), "intervals"
        if kind == main:
            try:
                paired = paired_bootstrap.compare(a, b)
            except ValueError:  # not the same questions, or scored before scores kept each question's
                how = "intervals; not each question's score is known in both"
            else:
                low, high = paired.ci95
                verdict = f"B {'better' if paired.difference > 0 else 'worse'}" if paired.differ else "no difference"
                how = f"paired bootstrap, B - A {paired.difference:+.2f} [{low:+.2f}, {high:+.2f}], n {paired.n}"
        names = dict.fromkeys(figure_name(one["id"]) for one in (first, second))
        yield FigureComparison(" -> ".join(names), first["value"], second["value"], verdict, how)


def _by_intervals(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    if not first.get("ci95") or not second.get("ci95"):
        return "unknown"
    (low, high), (other_low, other_high) = first["ci95"], second["ci95"]
    if low <= other_high and other_low <= high:
        return "intervals overlap"
    return "B better" if other_low > high else "B worse"


def _kind(id: str) -> str:
    plain, _ = split_experiment(id)
    return ".".join(part for part in plain.split(".") if part not in _VARIANTS)


def _data(run: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {"samples": {key: run["samples"][key] for key in ("sha256", "count")}}
    data |= {f"features of {one['image_set']}": {"manifest": one["manifest"]} for one in run.get("features", [])}
    data["feature_extractor"] = next((one["extractor"] for one in run.get("features", [])), None)
    return data | {key: run.get(key) for key in ("language_model", "initial_adaptor")}


def _scores_of(folder: Path, run: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The scores of the evaluations of a training, by the kind of their main figure."""
    found = {}
    for path in find_all(folder.parents[1] / "evaluation", "scores.json"):
        scores = read_json(path)
        if scores.get("adaptor_run_id") == run["run_id"]:
            found[_kind(scores["id"])] = scores
    return found


def to_text(a: Path, b: Path, found: Comparison) -> str:
    """The comparison as a text for a terminal."""
    lines = []
    for letter, folder in (("A", a), ("B", b)):
        run = read_json(folder / "run.json")
        lines.append(f"{letter}  {run_name(run)}, run {run['run_id']}  ({folder})")
    for title in ("parameters", "data", "code", "environment"):
        rows: list[Difference] = getattr(found, title)
        lines.append(f"\n{title}: " + ("" if rows else "no difference"))
        width = max((len(row.name) for row in rows), default=0)
        lines += [f"  {row.name:<{width}}  {_short(row.a)} -> {_short(row.b)}" for row in rows]
    lines.append("\nfigures: " + ("" if found.figures else "no evaluation that both have"))
    width = max((len(row.name) for row in found.figures), default=0)
    for one in found.figures:
        lines.append(f"  {one.name:<{width}}  {one.a:6.2f} -> {one.b:6.2f}  {one.verdict} ({one.how})")
    return "\n".join(lines)


def _short(text: str) -> str:
    """A checksum by its first digits, anything else as it is."""
    is_checksum = len(text) >= 40 and set(text) <= set("0123456789abcdef")
    return f"{text[:12]}..." if is_checksum else text or "(nothing)"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="A", help="run folder or run id")
    parser.add_argument("b", metavar="B", help="run folder or run id")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where ids are looked for (results)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a text")
    arguments = parser.parse_args(argv)
    a, b = (find_run(name, arguments.results) for name in (arguments.a, arguments.b))
    found = compare(a, b)
    print(json.dumps(asdict(found), indent=1, ensure_ascii=False) if arguments.json else to_text(a, b, found))


if __name__ == "__main__":
    run_command(main)
