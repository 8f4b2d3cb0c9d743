"""The whole configuration: config.yaml and one file of scales/, merged, validated, and the errors said in sentences."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from workflow_scripts.config.base import Section
from workflow_scripts.config.data import BenchmarkSettings, DownloadSettings, FilterSettings, MixSettings
from workflow_scripts.config.evaluation import PredictSettings
from workflow_scripts.config.jobs import JobSettings, PreflightSettings
from workflow_scripts.config.language import LanguageModelSettings
from workflow_scripts.config.reranking import RerankingSettings
from workflow_scripts.config.search import IndexSettings
from workflow_scripts.config.training import TrainingSettings
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
Stage = Literal["pretrain", "finetune", "finetune_okvqa", "finetune_refcoco"]
MixName = Literal["visual_genome_mix", "okvqa_mix", "refcoco_mix", "photo_mix"]
EvaluationPictures = Literal["karpathy", "okvqa", "refcoco"]


class Roles(Section):
    """Which image sets play which part; null where a scale has no data for it, and its figures are absent cells."""

    pretraining: list[str] = Field(
        min_length=1, description="Image sets with captions that the adaptor is pretrained on."
    )
    retrieval: str = Field(description="Image set with captions for text-to-image retrieval and for search.")
    search: list[str] = Field([], description="Image sets in the search index beside those of the retrieval.")
    retrieval_test: str | None = Field(
        None, description="The same where evaluation_split is test, if the test pictures are a set of their own."
    )
    colour_matched: str | None = Field(None, description="Groups of pictures that differ in nouns only.")
    visual_genome: str | None = Field(None, description="Image set with questions and relationships.")
    descriptions: str | None = Field(None, description="Image set with long descriptions.")
    okvqa_train: str | None = Field(None, description="Image set of the OK-VQA training questions.")
    okvqa_val: str | None = Field(None, description="Image set of the OK-VQA validation questions.")
    refcoco: str | None = Field(None, description="Image set of the referring expressions.")
    gqa: str | None = Field(None, description="Image set of GQA's testdev-balanced questions.")
    daquar: str | None = Field(None, description="Image set of the DAQUAR training questions.")
    daquar_test: str | None = Field(None, description="Image set of the DAQUAR test questions.")

    def of_split(self, split: str) -> Self:
        """The roles where a split is evaluated: test pictures take their place, or are not needed at all."""
        test = split == "test"
        return self.model_copy(
            update={
                "retrieval": (test and self.retrieval_test) or self.retrieval,
                "retrieval_test": None,
                "daquar_test": self.daquar_test if test else None,
            }
        )

    def image_sets(self) -> list[str]:
        """All image sets that any role names, each once, in the order of the fields."""
        names: list[str] = []
        for value in self.__dict__.values():
            names.extend([value] if isinstance(value, str) else value or [])
        return list(dict.fromkeys(names))


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
    roles: Roles
    maximum_images: dict[str, int] = Field({}, description="Keep the first N pictures of an image set, by id.")
    parts: dict[str, Annotated[int, Field(ge=2, le=400)]] = Field(
        {}, description="Parts in which an image set is fetched and run through the extractor, a job for each."
    )
    picture_archives: dict[str, str] = Field(
        {}, description="Data sets whose archives hold the pictures of image sets that are fetched by URL otherwise."
    )
    exclude: list[EvaluationPictures] = Field(
        [], description="Evaluations whose COCO pictures are left out of pretraining and of the Visual Genome mix."
    )
    download: DownloadSettings
    filter: FilterSettings
    mix: MixSettings | None = Field(None, description="The finetuning mix of Visual Genome and MiniGPT-4.")
    mix_okvqa: MixSettings | None = None
    mix_refcoco: MixSettings | None = None
    mix_photo: MixSettings | None = Field(None, description="The finetuning mix of DAQUAR and Flickr8k.")
    pretrain_with: list[MixName] = Field(
        [], description="Finetuning mixes whose samples pretraining sees beside the captions, as Shikra's did."
    )
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
    pretrain: TrainingSettings
    finetune: TrainingSettings | None = None
    finetune_okvqa: TrainingSettings | None = None
    finetune_refcoco: TrainingSettings | None = None
    evaluation_split: Annotated[Literal["test", "validation"], BeforeValidator(_split_name)] = Field(
        "test", description="Split that the figures are of; dev is another word for validation."
    )
    predict: PredictSettings
    predict_captions: PredictSettings | None = Field(
        None, description="How captions are written, which gain from a search with several beams; null as answers are."
    )
    visual_genome: BenchmarkSettings = BenchmarkSettings()
    okvqa: BenchmarkSettings = BenchmarkSettings()
    refcoco: BenchmarkSettings = BenchmarkSettings()
    retrieval: BenchmarkSettings = BenchmarkSettings()
    gqa: BenchmarkSettings = BenchmarkSettings()
    daquar: BenchmarkSettings = BenchmarkSettings()
    captions: BenchmarkSettings | None = Field(None, description="Captions of the retrieval pictures; null asks none.")
    is_true: BenchmarkSettings | None = Field(None, description="Is a caption true of a picture; null does not ask.")
    reranking: RerankingSettings | None = Field(
        None, description="Second look of BLIP-2's matching head at the best of a search; null leaves its row out."
    )
    index: IndexSettings
    queries: list[str] = Field(min_length=1, description="What the report's search sheet asks for.")
    jobs: dict[str, JobSettings] = Field({}, description="What jobs ask for in place of what their rules say, by rule.")
    preflight: PreflightSettings | None = Field(None, description="What is checked first; null checks nothing.")

    @model_validator(mode="after")
    def _has_parts_of_its_own_image_sets(self) -> Self:
        names = self.roles.image_sets()
        if unknown := [name for name in self.parts if name not in names]:
            raise ValueError(f"parts: {unknown[0]} is no image set of this scale; it has {', '.join(names)}")
        return self

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

    stages: list[Stage] = Field(["pretrain", "finetune"], min_length=1, description="In the order of training.")
    changes: dict[str, Any] = Field({}, description="Values that replace those of the scale, nested as there.")
    in_report: bool = Field(True, description="False leaves the row to `snakemake experiments`; the report waits not.")


class Settings(Section):
    """What a user edits in config.yaml, with the chosen scale resolved."""

    scale: str
    results: str = Field("results", description="Folder for everything that a run writes.")
    mirror: str | None = Field(None, description="A folder with one sub-folder a host, served in place of the web.")
    experiments: dict[str, Experiment] = Field(min_length=1)
    values: Scale
    of_experiments: dict[str, Scale] = Field(description="The scale's values with each experiment's changes.")


def load_settings(config: Mapping[str, Any], scales: Path) -> Settings:
    """Merge the chosen scale's file with the configuration and validate the result.

    Args:
        config: config.yaml with the command line's --config merged in; any key of a scale file in it wins.
        scales: the folder of the scale files.

    Raises:
        ValueError: one sentence that names the key, the value and what is allowed.
    """
    own = {key: config[key] for key in ("results", "mirror", "experiments") if key in config}
    name = config.get("scale")
    known = sorted(path.stem for path in scales.glob("*.yaml"))
    if name not in known:
        raise ValueError(f"scale = {name!r}: there is no such scale; choose one of {', '.join(known)}.")
    values = yaml.safe_load((scales / f"{name}.yaml").read_text(encoding="utf-8"))
    own["experiments"] = merge(values.pop("experiments", {}), own.get("experiments") or {})
    overrides = {key: value for key, value in config.items() if key not in own and key != "scale"}
    values = merge(values, overrides)
    scale = _validated(Scale, values, "")
    experiments = {
        key: _validated(Experiment, row or {}, f"experiments.{key}.")
        for key, row in (own.get("experiments") or {}).items()
    }
    # What rows share has the name of the first: those of the report's page come before the others.
    experiments = dict(sorted(experiments.items(), key=lambda item: (item[0] != REPORT, not item[1].in_report)))
    of_experiments = {
        key: _validated(Scale, merge(values, _changes_that_apply(row, values)), f"experiments.{key}.changes.")
        for key, row in experiments.items()
    }
    if REPORT not in experiments:
        raise ValueError(f"experiments has no row {REPORT!r}, which the tables of the report are about; add it.")
    own["experiments"] = experiments
    return _validated(Settings, {**own, "scale": name, "values": scale, "of_experiments": of_experiments}, "")


def _changes_that_apply(row: Experiment, values: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a row, without those of trainings that the scale has no data for and leaves out."""
    absent = {stage for stage in get_args(Stage) if values.get(stage) is None}
    return {key: value for key, value in row.changes.items() if key not in absent}


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
