"""Settings of download, caption filter, finetuning mixes and benchmarks."""

from typing import Literal

from pydantic import Field, model_validator

from workflow_scripts.config.base import Section

Task = Literal["vqa", "relationship", "description", "is_true", "okvqa", "refcoco"]


class DownloadSettings(Section):
    """How the pictures of an image set are fetched and stored."""

    image_size: int = Field(
        224, ge=16, le=2048, description="Pixels of the shorter side in the shards; the aspect ratio is kept."
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


class MixSettings(Section):
    """How many samples of which task a finetuning sees."""

    samples: int | None = Field(
        10_000, ge=1, description="Size of the mix; null for the largest that the shares allow without repeating any."
    )
    shares: dict[Task, float] = Field(
        {"vqa": 0.6, "relationship": 0.2, "description": 0.2}, description="Share of each task; they add up to 1."
    )
    seed: int = Field(0, ge=0, description="Seed of the draw and of the wording of the queries.")

    @model_validator(mode="after")
    def _adds_up(self) -> "MixSettings":
        if not self.shares or min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise ValueError(f"shares must be above 0 and add up to 1, got {self.shares}.")
        return self


class BenchmarkSettings(Section):
    """How many questions an evaluation asks."""

    questions: int | None = Field(None, ge=1, description="Questions (or captions) to draw; null takes all there are.")
    relationship_share: float = Field(
        0.25, ge=0, le=1, description="Visual Genome: share of relationship questions (3,000 to 1,000 in the report)."
    )
    seed: int = Field(0, ge=0, description="Seed of the draw and of the wording of the queries.")
