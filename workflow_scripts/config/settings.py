"""The whole configuration: config.yaml and one file of scales/, merged, validated, and the errors said in sentences."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from workflow_scripts.catalogue.load import Catalogue, load_catalogue, nearest
from workflow_scripts.config.base import Section
from workflow_scripts.config.known_rows import check_rows
from workflow_scripts.config.merging import merge, placed_in_sections, with_nulls
from workflow_scripts.config.scale import Scale
from workflow_scripts.config.validated import validated

# The experiment that the tables of the report are about; it comes first, whatever else is asked for.
REPORT = "report"
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Experiment(Section):
    """One row of `experiments`: the stages that it trains and what differs from the scale's values."""

    stages: list[str] = Field(["pretrain", "finetune"], min_length=1, description="Stages of the scale that it trains.")
    changes: dict[str, Any] = Field({}, description="Values that replace those of the scale, nested as there.")
    in_report: bool = Field(True, description="False leaves the row to `snakemake experiments`; the report waits not.")


class Settings(Section):
    """What a user edits in config.yaml, with the chosen scale resolved."""

    scale: str
    results: str = Field("results", description="Folder for everything that a run writes.")
    mirror: str | None = Field(None, description="A folder with one sub-folder a host, served in place of the web.")
    catalogue: list[str] = Field([], description="Files, or folders of YAML files, with more rows of the catalogue.")
    rows: Catalogue = Field(description="The catalogue, in the form that the mirror has.")
    experiments: dict[str, Experiment] = Field(min_length=1)
    values: Scale
    of_experiments: dict[str, Scale] = Field(description="The scale's values with each experiment's changes.")


def load_settings(config: Mapping[str, Any], scales: Path) -> Settings:
    """Merge the chosen scale's file with the configuration and validate the result.

    Args:
        config: config.yaml with the command line's --config merged in; any key of a scale file in it wins, and a stage,
            samples or a benchmark may be named without its section.
        scales: the folder of the scale files.

    Raises:
        ValueError: one sentence that names the key, the value and what is allowed.
    """
    config = with_nulls(config)
    own = {key: config[key] for key in ("results", "mirror", "catalogue", "experiments") if key in config}
    if isinstance(own.get("catalogue"), str):
        own["catalogue"] = [own["catalogue"]]
    name = config.get("scale")
    known = sorted(path.stem for path in scales.glob("*.yaml"))
    if name not in known:
        raise ValueError(f"scale = {name!r}: there is no such scale; choose one of {', '.join(known)}.")
    values = _read_scale(scales / f"{name}.yaml")
    own["experiments"] = merge(values.pop("experiments", {}), own.get("experiments") or {})
    overrides = {key: value for key, value in config.items() if key not in own and key != "scale"}
    elsewhere = _stages_elsewhere(scales, known)
    values = merge(values, placed_in_sections(overrides, values, elsewhere, ""))
    scale = validated(Scale, values, "")
    experiments = {
        key: validated(Experiment, row or {}, f"experiments.{key}.")
        for key, row in (own.get("experiments") or {}).items()
    }
    # What rows share has the name of the first: those of the report's page come before the others.
    experiments = dict(sorted(experiments.items(), key=lambda item: (item[0] != REPORT, not item[1].in_report)))
    of_experiments = {}
    for key, row in experiments.items():
        prefix = f"experiments.{key}.changes."
        changed = merge(values, placed_in_sections(row.changes, values, elsewhere, prefix))
        of_experiments[key] = validated(Scale, changed, prefix)
        for stage in row.stages:
            if stage not in of_experiments[key].stages and stage not in elsewhere:
                names = [*of_experiments[key].stages, *elsewhere]
                raise ValueError(f"experiments.{key}.stages: there is no stage {stage!r}; {nearest(stage, names)}")
    if REPORT not in experiments:
        raise ValueError(f"experiments has no row {REPORT!r}, which the tables of the report are about; add it.")
    own["experiments"] = experiments
    mirror = own.get("mirror")
    if mirror and scale.world is None and not Path(mirror).is_dir():
        raise ValueError(f"mirror = {mirror!r}: there is no such folder; it holds one sub-folder a host.")
    rows = load_catalogue(own.get("catalogue") or [])
    # A mirror is looked at here for its sub-folders only: what it holds is read from it in the form that mirrors have.
    rows = rows.for_mirror(Path(mirror).absolute() if mirror and scale.world is None else None)
    for prefix, one in (("", scale), *((f"experiments.{key}.changes.", one) for key, one in of_experiments.items())):
        check_rows(one, rows, prefix)
    own |= {"scale": name, "values": scale, "of_experiments": of_experiments, "rows": rows}
    return validated(Settings, own, "")


def _read_scale(path: Path) -> dict[str, Any]:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_YAML)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error


def _stages_elsewhere(scales: Path, names: Iterable[str]) -> list[str]:
    """The stages of all scales: an experiment may name one that its own scale has no data for."""
    return list(dict.fromkeys(stage for name in names for stage in _read_scale(scales / f"{name}.yaml")["stages"]))
