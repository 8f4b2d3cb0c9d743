"""What the figures are compared with: the report's own values, ours of earlier runs, and what a scale must reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from workflow_scripts.config.base import Section
from workflow_scripts.report.names import figure_name

Results = Mapping[str, Mapping[str, Any]]  # figure id -> its entry of results.json
Breakdowns = Mapping[str, Mapping[str, Mapping[str, float]]]  # figure id -> kind -> value and n
Content = TypeVar("Content", bound=Section)
Bound = Literal["below", "above"] | None
BOUNDS: dict[Bound, str] = {"below": "< ", "above": "> ", None: ""}


def two_decimals(value: float) -> str:
    """A published value with one decimal, or with two where it has them."""
    return f"{value:.2f}".removesuffix("0")


class ReportedFigure(Section):
    """A figure that the reference prints."""

    id: str = Field(description="Id of the figure, as in results.json.")
    value: float = Field(description="The value as printed.")
    unit: str = Field("%", description="Its unit.")
    bound: Bound = Field(None, description="Where only a bound is printed.")
    source: str = Field(description="Where it stands.")
    wording: str = Field(description="Key of the words that it stands in.")

    @property
    def text(self) -> str:
        """The value as a table prints it."""
        return BOUNDS[self.bound] + two_decimals(self.value)


class ReportedSetup(Section):
    """A number of the reference's data or trainings."""

    id: str = Field(description="Its name, as setup_table.py has ours.")
    what: str = Field(description="What it counts, in words.")
    value: int | float = Field(description="The value as printed.")
    unit: str = Field("", description="Its unit: h, min, %, or none.")
    bound: Bound = Field(None, description="Where only a bound is printed.")
    source: str = Field(description="Where it stands.")
    wording: str = Field(description="Key of the words that it stands in.")


class OtherSystem(Section):
    """A published figure of another system, that the reference prints beside its own or that belongs beside it."""

    table: str = Field(description="The table.")
    system: str = Field(description="Its name.")
    figure: str = Field("", description="What was measured, where the table has several figures of a system.")
    value: float = Field(description="The value as printed.")
    source: str = Field(description="Where it stands.")
    wording: str = Field(description="Key of the words that it stands in.")


class Doubt(Section):
    """What is doubtful about a table of the reference."""

    table: str = Field(description="The table.")
    text: str = Field(description="The doubt, printed below the table.")


class ReportedFigures(Section):
    """`expected/report.yaml`."""

    source: str = Field(description="Name of the reference.")
    wordings: dict[str, str] = Field(default_factory=dict, description="What is quoted, word for word, by a key.")
    figures: list[ReportedFigure]
    setup: list[ReportedSetup] = Field(default_factory=list)
    others: list[OtherSystem] = Field(default_factory=list)
    doubts: list[Doubt] = Field(default_factory=list)

    @model_validator(mode="after")
    def _words_are_there(self) -> Self:
        quoted = [one.wording for one in (*self.figures, *self.setup, *self.others)]
        if lost := [key for key in quoted if key not in self.wordings]:
            raise ValueError(f"wording {lost[0]} is not among the wordings")
        return self


class OwnFigure(Section):
    """A figure of ours from an earlier run, with the tolerance within which a rerun must fall."""

    id: str = Field(description="Id of the figure, as in results.json.")
    value: float = Field(description="The value that a run gave.")
    tolerance: float = Field(ge=0, description="How far a rerun may be off, in the figure's unit.")
    source: str = Field(description="Which run gave it.")


class Requirement(Section):
    """Something that a scale must reach, or aims at."""

    level: Literal["must", "aim"]
    figure: str = Field(description="Id of the figure.")
    kind: str | None = Field(None, description="A kind of question of its break-down, instead of the whole.")
    at_least: float | None = None
    at_most: float | None = None
    above: str | None = Field(None, description="Id of a figure that must be lower ...")
    by: float = Field(0, description="... by this many points.")
    interval_above: str | None = Field(None, description="Id of a figure whose interval must end below this one's.")
    if_missed: str = Field("", description="The reason as far as it is known, printed where the requirement is missed.")

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        given = [self.at_least, self.at_most, self.above, self.interval_above]
        if sum(value is not None for value in given) != 1:
            raise ValueError("a requirement has exactly one of at_least, at_most, above, interval_above")
        return self

    @property
    def statement(self) -> str:
        """The requirement in words."""
        name = figure_name(self.figure) + (f", questions of kind “{self.kind}”" if self.kind else "")
        if self.at_least is not None:
            return f"{name}: at least {self.at_least:g}"
        if self.at_most is not None:
            return f"{name}: at most {self.at_most:g}"
        if self.above is not None:
            points = f"at least {self.by:g} points above" if self.by else "not below"
            return f"{name}: {points} {figure_name(self.above)}"
        return f"{name}: interval above that of {figure_name(self.interval_above or '')}"

    def reason(self, reached: bool | None) -> str:
        """Why it was missed, as far as that is known; nothing where it was not."""
        return self.if_missed if reached is False else ""

    def check(self, results: Results, breakdowns: Breakdowns) -> tuple[str, bool | None]:
        """What was found, in words, and whether it is reached; None where a figure is absent."""
        entry = results.get(self.figure)
        if entry is None:
            return "", None
        value = entry["value"]
        if self.kind:
            part = breakdowns.get(self.figure, {}).get(self.kind)
            if part is None:
                return "", None
            value = part["value"]
        if self.at_least is not None:
            return f"{value:.1f}", value >= self.at_least
        if self.at_most is not None:
            return f"{value:.1f}", value <= self.at_most
        other = results.get(self.above or self.interval_above or "")
        if other is None:
            return "", None
        if self.above is not None:
            return f"{value:.1f} against {other['value']:.1f}", value - other["value"] >= self.by
        if not entry["ci95"] or not other["ci95"]:
            return "no interval", None
        (low, high), (low_2, high_2) = entry["ci95"], other["ci95"]
        return f"[{low:.1f}, {high:.1f}] against [{low_2:.1f}, {high_2:.1f}]", low > high_2


class ScaleExpectations(Section):
    """`expected/<scale>.yaml`."""

    comparable_with_report: bool = Field(description="Whether data and models are those of the reference.")
    reason: str = Field("", description="Why not, printed in the report.")
    figures: list[OwnFigure] = Field(default_factory=list)
    requirements: list[Requirement] = Field(default_factory=list)
    doubts: list[Doubt] = Field(default_factory=list, description="What is to be known about this scale's tables.")


@dataclass(frozen=True)
class Verdict:
    """A judgement in a few words, and its mood: good, bad or none."""

    text: str
    mood: Literal["good", "bad", "none"]


def judge(id: str, results: Results, breakdowns: Breakdowns, scale: ScaleExpectations, reported: Any) -> Verdict:
    """Compare one figure with the scale's musts, our own earlier value and, where comparable, the reference."""
    entry = results.get(id)
    if entry is None:
        return Verdict("not run", "none")
    musts = [
        requirement.check(results, breakdowns)[1]
        for requirement in scale.requirements
        if requirement.figure == id and requirement.level == "must"
    ]
    if False in musts:
        return Verdict("must missed", "bad")
    own = next((figure for figure in scale.figures if figure.id == id), None)
    if own and entry["value"] < own.value - own.tolerance:
        return Verdict("below expected", "bad")
    if scale.comparable_with_report and reported is not None:
        return _against_reference(entry, reported)
    if own and entry["value"] > own.value + own.tolerance:
        return Verdict("above expected", "good")
    if own:
        return Verdict("within tolerance", "good")
    if True in musts:
        return Verdict("must reached", "good")
    return Verdict("not comparable" if reported is not None else "", "none")


def _against_reference(entry: Mapping[str, Any], reported: ReportedFigure) -> Verdict:
    if reported.bound == "below":
        reached = entry["value"] < reported.value
        return Verdict("reached" if reached else "not reached", "good" if reached else "bad")
    if not entry["ci95"]:
        return Verdict("no interval", "none")
    low, high = entry["ci95"]
    if low <= reported.value <= high:
        return Verdict("reached", "good")
    return Verdict("above the report", "good") if low > reported.value else Verdict("below the report", "bad")


def read_expected(path: Path, kind: type[Content]) -> Content:
    """Read one file of expected figures; what does not fit is a ValueError that names it."""
    try:
        return kind.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; each scale needs its file of expected figures.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}, {place}: {first['msg']}.") from error


def by_id(entries: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The entries of results.json by their id."""
    return {entry["id"]: entry for entry in entries}
