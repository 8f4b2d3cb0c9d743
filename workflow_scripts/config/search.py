"""Settings of the image search: how an index is built and asked."""

from pydantic import Field

from workflow_scripts.config.base import Section


class IndexSettings(Section):
    """How an index is built from pictures."""

    batch_size: int = Field(64, ge=1, le=4096, description="Pictures that are embedded together.")
    thumbnail_size: int = Field(192, ge=16, le=1024, description="Longest side of a thumbnail in pixels.")
    max_pixels: int = Field(
        100_000_000, ge=1, description="A picture with more pixels is skipped and listed, not decoded."
    )
    approximate_from: int = Field(
        5000, ge=1, description="From so many pictures on, a search scores candidates only; below, every picture."
    )


class SearchSettings(Section):
    """What the search index holds."""

    benchmark: str | None = Field(
        None, description="Benchmark whose images and captions it is of; null for the scale's first of captions."
    )
    images: list[str] = Field([], description="Image sets in the index beside those of the benchmark.")
