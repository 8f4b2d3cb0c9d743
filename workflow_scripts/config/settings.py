"""The whole configuration: config.yaml and one file of scales/, merged, validated, and the errors said in sentences."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from workflow_scripts.catalogue.benchmarks import split_part
from workflow_scripts.catalogue.load import Catalogue, load_catalogue, nearest
from workflow_scripts.config.base import Section
from workflow_scripts.config.data import BenchmarkSettings, DownloadSettings, FilterSettings, ImageSize, SamplesSettings
from workflow_scripts.config.evaluation import PredictSettings
from workflow_scripts.config.jobs import JobSettings, PreflightSettings
from workflow_scripts.config.language import LanguageModelSettings
from workflow_scripts.config.reranking import RerankingSettings
from workflow_scripts.config.search import IndexSettings, SearchSettings
from workflow_scripts.config.stages import StageSettings
from workflow_scripts.config.survey import SurveySettings
from workflow_scripts.config.vision import (
    ClipSettings,
    FeatureExtractorSettings,
    LinearBaselineSettings,
    QformerGeometry,
    QFormerSettings,
)
from workflow_scripts.config.world import WorldSettings

Model = TypeVar("Model", bound=Section)
# The experiment that the tables of the report are about; it comes first, whatever else is asked for.
REPORT = "report"
# Sections of a scale whose rows may be named without their section: `finetune` is `stages.finetune`.
NAMED = ("stages", "samples", "benchmarks")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Keys of earlier versions, and what stands in their place.
_OLD = {
    "roles": "samples (what is learned from), benchmarks (what is asked) and search (what is searched)",
    "pretrain_with": "samples of the stage, as in pretrain: {samples: [pairs, ...]}",
    "predict_captions": "predict of a benchmark",
    "exclude": "exclude of samples, as in pairs: {exclude: [...]}",
    "mix": "samples: parts with shares, and count in place of samples",
    "captions": "benchmarks",
    "is_true": "benchmarks",
}


class PretrainedModels(Section):
    """Rows of the registry's models that others trained; null where a scale trains its own."""

    vision_encoder: str | None = Field(None, description="Frozen vision encoder in front of the Q-Former.")
    text_encoder: str | None = Field(None, description="BERT whose weights the Q-Former starts from.")
    language_model: str | None = Field(None, description="Frozen language model.")
    feature_extractor: str | None = Field(None, description="Whole BLIP-2 feature extractor, as LAVIS publishes it.")
    clip: str | None = Field(None, description="CLIP of the retrieval baseline, a Hugging Face folder.")
    clip_high_resolution: str | None = Field(None, description="The same for larger pictures, a row of its own.")


def _split_name(value: Any) -> Any:
    return "validation" if value == "dev" else value


class Scale(Section):
    """All values of one scale: what scales/<name>.yaml holds, after the overrides of config.yaml and --config."""

    description: str = Field(description="One sentence for the head of the report.")
    figures_are_meaningful: bool = Field(description="False where a scale only exercises the chain.")
    world: WorldSettings | None = Field(None, description="The miniature world; null for real data.")
    splits: str | None = Field(
        None, description="Data set with splits.json, which says of image sets what is held out; null for none."
    )
    samples: dict[str, SamplesSettings] = Field(min_length=1, description="What trainings learn from, by name.")
    stages: dict[str, StageSettings] = Field(min_length=1, description="Trainings of the adaptor, by name.")
    benchmarks: dict[str, BenchmarkSettings] = Field({}, description="What is asked, by the catalogue's names.")
    caption_samples: str = Field(
        "pairs", description="Samples with captions that Q-Former, linear baseline and colour histogram learn from."
    )
    search: SearchSettings = SearchSettings()
    survey: SurveySettings | None = Field(None, description="What people are asked to rate; null makes no survey.")
    maximum_images: dict[str, int] = Field({}, description="Keep the first N pictures of an image set, by id.")
    parts: dict[str, Annotated[int, Field(ge=2, le=400)]] = Field(
        {}, description="Parts in which an image set is fetched and run through the extractor, a job for each."
    )
    picture_archives: dict[str, str] = Field(
        {}, description="Data sets whose archives hold the pictures of image sets that are fetched by URL otherwise."
    )
    download: DownloadSettings
    image_sizes: dict[str, ImageSize] = Field(
        {}, description="download.image_size of single image sets; original stores JPEGs as they are."
    )
    filter: FilterSettings
    pretrained: PretrainedModels = PretrainedModels()
    feature_extractor: FeatureExtractorSettings | None = Field(
        None, description="Training of vision encoder and Q-Former together; null where q_former is given."
    )
    q_former: QFormerSettings | None = Field(
        None, description="Training of a Q-Former on the tokens of a pretrained vision encoder."
    )
    feature_extractor_geometry: QformerGeometry | None = Field(
        None, description="Sizes of pretrained.feature_extractor, which its checkpoint must fit."
    )
    linear_baseline: LinearBaselineSettings | None = Field(
        None, description="Retrieval by mean-pooled tokens and a bag of words; null leaves its row out."
    )
    language_model: LanguageModelSettings = LanguageModelSettings()
    clip: ClipSettings | None = Field(None, description="The baseline of Table 1; null leaves its row empty.")
    evaluation_split: Annotated[Literal["test", "validation"], BeforeValidator(_split_name)] = Field(
        "test", description="Split that the figures are of; dev is another word for validation."
    )
    predict: PredictSettings
    reranking: RerankingSettings | None = Field(
        None, description="Second look of BLIP-2's matching head at the best of a search; null leaves its row out."
    )
    index: IndexSettings
    queries: list[str] = Field(min_length=1, description="What the report's search sheet asks for.")
    jobs: dict[str, JobSettings] = Field({}, description="What jobs ask for in place of what their rules say, by rule.")
    preflight: PreflightSettings | None = Field(None, description="What is checked first; null checks nothing.")

    @model_validator(mode="after")
    def _has_what_it_names(self) -> Self:
        for name, stage in self.stages.items():
            for samples in stage.samples:
                if samples not in self.samples:
                    has = _has(samples, self.samples)
                    raise ValueError(f"stages.{name}.samples: there are no samples {samples!r}; {has}")
            if stage.after is not None and stage.after not in self.stages:
                raise ValueError(
                    f"stages.{name}.after: there is no stage {stage.after!r}; {_has(stage.after, self.stages)}"
                )
        for name in self.stages:
            self.stages_before(name)
        if self.caption_samples not in self.samples or self.samples[self.caption_samples].is_drawn:
            raise ValueError(
                f"caption_samples = {self.caption_samples!r} must name samples whose parts are a list, which have "
                "captions only"
            )
        if self.search.benchmark is not None and self.search.benchmark not in self.benchmarks:
            raise ValueError(
                f"search.benchmark: the scale asks no benchmark {self.search.benchmark!r}; "
                f"{_has(self.search.benchmark, self.benchmarks)}"
            )
        if self.survey is not None:
            for key, there in (("benchmark", self.benchmarks), ("stage", self.stages)):
                name = getattr(self.survey, key)
                if name not in there:
                    raise ValueError(f"survey.{key}: the scale has no {key} {name!r}; {_has(name, there)}")
        return self

    def stages_before(self, name: str) -> list[str]:
        """Return the stages that a stage comes after, the first one first; a cycle is a ValueError."""
        before: list[str] = []
        stage = self.stages[name].after
        while stage is not None:
            if stage == name or stage in before:
                raise ValueError(
                    f"stages: {', '.join(dict.fromkeys([name, *before]))} come after each other in a circle"
                )
            before.append(stage)
            stage = self.stages[stage].after
        return before[::-1]

    @model_validator(mode="after")
    def _has_one_feature_extractor(self) -> Self:
        ways = (self.feature_extractor, self.q_former, self.pretrained.feature_extractor)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("a scale needs one of feature_extractor, q_former and pretrained.feature_extractor")
        if (self.pretrained.feature_extractor is None) != (self.feature_extractor_geometry is None):
            raise ValueError("pretrained.feature_extractor and feature_extractor_geometry belong together: set both")
        if self.clip is not None and self.pretrained.clip is not None:
            raise ValueError("clip is trained here and pretrained.clip by others: set one of them")
        if self.world is None and (self.feature_extractor is not None or self.clip is not None):
            raise ValueError("feature_extractor and clip learn from the pictures of a world, which this scale lacks")
        encoders = (self.pretrained.vision_encoder, self.pretrained.text_encoder)
        if (self.q_former is not None) != all(encoders) or (self.q_former is None and any(encoders)):
            raise ValueError(
                "q_former is trained on pretrained.vision_encoder and from pretrained.text_encoder: "
                "set all three or none"
            )
        if self.linear_baseline is not None and self.q_former is None:
            raise ValueError("linear_baseline reads the tokens of pretrained.vision_encoder, which this scale lacks")
        return self


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
    config = _with_nulls(config)
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
    values = merge(values, _placed(overrides, values, elsewhere, ""))
    scale = _validated(Scale, values, "")
    experiments = {
        key: _validated(Experiment, row or {}, f"experiments.{key}.")
        for key, row in (own.get("experiments") or {}).items()
    }
    # What rows share has the name of the first: those of the report's page come before the others.
    experiments = dict(sorted(experiments.items(), key=lambda item: (item[0] != REPORT, not item[1].in_report)))
    of_experiments = {}
    for key, row in experiments.items():
        prefix = f"experiments.{key}.changes."
        changed = merge(values, _placed(row.changes, values, elsewhere, prefix))
        of_experiments[key] = _validated(Scale, changed, prefix)
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
        _check_rows(one, rows, prefix)
    own |= {"scale": name, "values": scale, "of_experiments": of_experiments, "rows": rows}
    return _validated(Settings, own, "")


def _with_nulls(value: Any) -> Any:
    """A configuration in which the word null is no value: Snakemake's --config reads all of it as text."""
    if isinstance(value, Mapping):
        return {key: _with_nulls(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_nulls(one) for one in value]
    return None if value == "null" else value


def _read_scale(path: Path) -> dict[str, Any]:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_YAML)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error


def _stages_elsewhere(scales: Path, names: Iterable[str]) -> list[str]:
    """The stages of all scales: an experiment may name one that its own scale has no data for."""
    return list(dict.fromkeys(stage for name in names for stage in _read_scale(scales / f"{name}.yaml")["stages"]))


def _placed(
    changes: Mapping[str, Any], values: Mapping[str, Any], elsewhere: Iterable[str], prefix: str
) -> dict[str, Any]:
    """Changes with stages, samples and benchmarks in their sections, without stages that the scale leaves out."""
    placed: dict[str, Any] = {}
    for key, value in changes.items():
        if key in Scale.model_fields:
            placed = merge(placed, {key: value})
            continue
        sections = [section for section in NAMED if key in (values.get(section) or {})]
        if len(sections) > 1:
            raise ValueError(f"{prefix}{key}: write {' or '.join(f'{section}.{key}' for section in sections)}.")
        if sections:
            placed = merge(placed, {sections[0]: {key: value}})
        elif key not in elsewhere:
            raise ValueError(_unknown_key(key, value, values, prefix))
    return placed


def _unknown_key(key: str, value: Any, values: Mapping[str, Any], prefix: str) -> str:
    if instead := _OLD.get(key, _OLD["mix"] if key.startswith("mix_") else None):
        return f"{prefix}{key} = {value!r}: there is no such setting any more; in its place there is {instead}."
    names = [*Scale.model_fields, *(name for section in NAMED for name in values.get(section) or {})]
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"allowed here: {', '.join(Scale.model_fields)}."
    return f"{prefix}{key} = {value!r}: there is no such setting; {hint}"


def _has(name: str, names: Iterable[str]) -> str:
    return nearest(name, names).rstrip(".")


def _check_rows(scale: Scale, rows: Catalogue, prefix: str) -> None:
    """Raise ValueError where a scale names a row of the catalogue that is not there or does not fit."""

    def check(key: str, found: Any, *arguments: Any) -> None:
        try:
            found(*arguments)
        except ValueError as error:
            raise ValueError(f"{prefix}{key}: {error}") from None

    for name, samples in scale.samples.items():
        for part in samples.parts:
            check(f"samples.{name}.parts", rows.native_task, part)
            check(f"samples.{name}.parts", rows.images_of, split_part(part)[0], "train")
        for data_set in samples.exclude:
            check(f"samples.{name}.exclude", rows.data_set, data_set)
    for name, settings in scale.benchmarks.items():
        check("benchmarks", rows.benchmark, name)
        for part in settings.shares or rows.benchmark(name).parts:
            check(f"benchmarks.{name}", rows.native_task, part)
            check(f"benchmarks.{name}", rows.images_of, split_part(part)[0], scale.evaluation_split)
        stages = rows.benchmark(name).asked_stages
        if stages is not None and not set(stages) & scale.stages.keys():
            raise ValueError(
                f"{prefix}benchmarks.{name} is asked after {' and '.join(stages)}, stages that this scale has not; it "
                f"has {', '.join(scale.stages)}."
            )
    for key in ("parts", "maximum_images", "picture_archives", "image_sizes"):
        for name in getattr(scale, key):
            check(key, rows.image_set, name)
    for name in scale.picture_archives.values():
        check("picture_archives", rows.data_set, name)
    for name in scale.search.images:
        check("search.images", rows.image_set, name)
    if scale.splits is not None:
        check("splits", rows.data_set, scale.splits)
    for role, name in scale.pretrained.model_dump().items():
        if name is not None:
            check(f"pretrained.{role}", rows.model, name)
    if not any(rows.benchmark(name).is_retrieval for name in scale.benchmarks):
        raise ValueError(f"{prefix}benchmarks: the search index needs one of captions (scorer: retrieval); add one.")
    chosen = scale.search.benchmark
    if chosen is not None and not rows.benchmark(chosen).is_retrieval:
        raise ValueError(f"{prefix}search.benchmark = {chosen!r}: its questions are answered; name one of captions.")


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changes`, mappings merged key by key, everything else replaced."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _validated(model: type[Model], values: Any, prefix: str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ValueError(_sentence(error, model, prefix)) from None


def _sentence(error: ValidationError, model: type[Section], prefix: str) -> str:
    first = error.errors(include_url=False)[0]
    key = prefix + ".".join(str(part) for part in first["loc"])
    others = f" ({error.error_count() - 1} more values are wrong.)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        allowed = _fields_at(model, first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), allowed, n=1)
        hint = f"did you mean {close[0]}?" if close else f"allowed here: {', '.join(allowed)}."
        return f"{key} = {first['input']!r}: there is no such setting; {hint}{others}"
    if first["type"] == "missing":
        return f"{key} is missing; the scale file must set it.{others}"
    reason = first["msg"][0].lower() + first["msg"][1:]
    return f"{key} = {first['input']!r}: {reason}.{others}"


def _fields_at(model: type[Section], location: tuple[int | str, ...]) -> list[str]:
    """The names of the settings at a place in the configuration."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        found = [kind for kind in candidates if isinstance(kind, type) and issubclass(kind, Section)]
        model = found[0] if found else model
    return list(model.model_fields)
