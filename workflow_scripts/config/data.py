"""Settings of download, caption filter, samples and benchmarks."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from workflow_scripts.catalogue.benchmarks import CAPTION, check_shares, split_part
from workflow_scripts.config.base import Section
from workflow_scripts.config.evaluation import PredictSettings

ImageSize = Annotated[int, Field(ge=16, le=2048)] | Literal["original"]
"""Pixels of the shorter side in the shards, with the aspect ratio kept; "original" stores JPEGs as they are."""


class DownloadSettings(Section):
    """How the pictures of an image set are fetched and stored."""

    image_size: ImageSize = Field(
        224, description="Pixels of the shorter side in the shards; the aspect ratio is kept. original: as it is."
    )
    jpeg_quality: int = Field(95, ge=1, le=100, description="Quality of the re-encoded JPEGs.")
    samples_per_shard: int = Field(10_000, ge=2, le=100_000, description="Rows of the URL list in a shard.")
    processes: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes; one downloads in the command's own process.",
        json_schema_extra={"identity": False},
    )
    threads: int = Field(
        32, ge=1, le=1024, description="Connections of a process at a time.", json_schema_extra={"identity": False}
    )
    timeout_seconds: float = Field(
        10.0, gt=0, le=600, description="How long to wait for a silent server.", json_schema_extra={"identity": False}
    )
    retries: int = Field(1, ge=0, le=10, description="Immediate attempts after a failed first one.")
    second_pass: bool = Field(True, description="Ask once more, at the end, for whatever failed for a time.")
    minimum_success_rate: float = Field(
        0.5, ge=0, le=1, description="Share of the URLs that must have given a picture; fewer is an error."
    )
    maximum_megabytes: float = Field(30.0, gt=0, le=1000, description="Larger files are not read.")
    maximum_megapixels: float = Field(60.0, gt=0, le=1000, description="Larger pictures are not decoded.")


class FilterSettings(Section):
    """Which captions pretraining keeps."""

    lower_case_without_punctuation: bool = Field(
        True, description="Lower-case captions and remove punctuation but commas, as the report did."
    )
    minimum_tokens: int = Field(1, ge=1, le=1000, description="Captions with fewer words are removed.")
    maximum_tokens: int = Field(100, ge=1, le=10_000, description="Captions with more words are removed.")

    @model_validator(mode="after")
    def _is_a_range(self) -> "FilterSettings":
        if self.minimum_tokens > self.maximum_tokens:
            raise ValueError(
                f"minimum_tokens ({self.minimum_tokens}) exceeds maximum_tokens ({self.maximum_tokens}); "
                "no caption could stay."
            )
        return self


def _parts(value: Any) -> Any:
    """A single part may stand without a list."""
    return [value] if isinstance(value, str) else value


class SamplesSettings(Section):
    """A table of samples that a training learns from.

    `parts` name `data set/task`. A list takes all captions of the parts that pass the filter, in their order; shares
    draw an exact number of samples of each part and shuffle them.
    """

    parts: Annotated[list[str] | dict[str, float], BeforeValidator(_parts)] = Field(
        min_length=1, description="A list of parts, or the share of each part; shares add up to 1."
    )
    count: int | None = Field(
        None, ge=1, description="Samples to draw; null for the most that the shares allow without repeating any."
    )
    seed: int = Field(0, ge=0, description="Seed of the draw and of the wording of the queries.")
    filter: FilterSettings | None = Field(None, description="Filter of captions; null takes that of the scale.")
    exclude: list[str] = Field(
        [], description="Data sets whose images of evaluation are left out, wherever the same image is."
    )

    @model_validator(mode="after")
    def _fits(self) -> "SamplesSettings":
        if isinstance(self.parts, dict):
            check_shares(self.parts)
            if self.filter is not None:
                raise ValueError("filter is for a list of parts: captions that are drawn by shares are not filtered")
            return self
        for part in self.parts:
            if split_part(part)[1] != CAPTION:
                raise ValueError(f"parts: {part!r} is not of captions; give the parts shares, as in {{{part}: 1.0}}")
        if self.count is not None:
            raise ValueError("count is for parts with shares: a list of parts takes all captions that pass the filter")
        return self

    @property
    def is_drawn(self) -> bool:
        """Whether samples are drawn by shares, in place of all captions that pass the filter."""
        return isinstance(self.parts, dict)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each part that is drawn."""
        assert isinstance(self.parts, dict), "a list of parts has no shares"
        return self.parts


class BenchmarkSettings(Section):
    """How many questions an evaluation asks, and how they are answered."""

    questions: int | None = Field(None, ge=1, description="Questions (or captions) to draw; null takes all there are.")
    shares: dict[str, float] | None = Field(None, description="Share of each part in place of those of the row.")
    seed: int = Field(0, ge=0, description="Seed of the draw and of the wording of the queries.")
    predict: PredictSettings | None = Field(
        None,
        description="How answers are generated; null takes the settings of the scale.",
        json_schema_extra={"identity": False},
    )

    @model_validator(mode="after")
    def _has_shares(self) -> "BenchmarkSettings":
        if self.shares is not None:
            check_shares(self.shares)
        return self
