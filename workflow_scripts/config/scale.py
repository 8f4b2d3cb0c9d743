"""All values of one scale: what it learns from, trains, asks and searches, and how its jobs run."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workflow_scripts.catalogue.load import nearest
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


class PretrainedModels(Section):
    """Models of the catalogue that others trained; null where a scale trains its own."""

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


def _has(name: str, names: Iterable[str]) -> str:
    return nearest(name, names).rstrip(".")
