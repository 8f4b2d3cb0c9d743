"""Rows of data sets and of image sets: which reader, which splits, and where the images are."""

from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from workflow_scripts.catalogue.sources import Source
from workflow_scripts.config.base import Section

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")


class HoldOut(Section):
    """How many of 1,000 images are held out, by a hash of their ids."""

    validation: int = Field(50, ge=0, le=1000, description="For validation.")
    test: int = Field(50, ge=0, le=1000, description="For test.")

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.validation + self.test > 1000:
            raise ValueError("validation and test are of 1,000 images together")
        return self


class Split(Section):
    """One split of a data set."""

    images: str | None = Field(None, description="Image set that it is about; null for one of the data set's own.")
    parts: list[str] = Field([], description="Parts of the data set's own that it is; none for all of them.")
    called: str | None = Field(None, description="What the data set calls it, where that is not our word.")
    files_of: str | None = Field(None, description="Row whose files it is read from, where that is another one.")
    options: dict[str, Any] = Field({}, description="Options of the reader beside those of the row.")
    records: int | None = Field(None, ge=1, description="Records that a plan counts with.")


class DataSet(Source):
    """A data set: what is fetched, and how its captions and questions are read."""

    reader: str | None = Field(None, description="Module of data/readers; null for files that others use.")
    options: dict[str, Any] = Field({}, description="Options of the reader.")
    tasks: list[str] = Field([], description="Tasks of the records that the reader gives.")
    splits: dict[SplitName, Split] = Field({}, description="By our names of splits.")
    files_of: str | None = Field(None, description="Row whose files it is read from, where it has none.")
    folder: str | None = Field(
        None, description="Folder on this machine with its images, from the folder of the row's own file."
    )
    hold_out: HoldOut = Field(HoldOut(), description="Of the image set of its own, where it has no splits.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if self.reader and not self.tasks:
            raise ValueError(f"{self.title!r} has a reader, but no tasks: say what its records are, as in [caption]")
        if self.splits and not self.reader:
            raise ValueError(f"{self.title!r} has splits, but no reader")
        if not self.files and not self.files_of:
            raise ValueError(f"{self.title!r} has no files: give it some, or files_of, a row that has them")
        return self

    def split(self, name: SplitName) -> Split:
        """Return a split with the options of the row in it; one that is not there is a ValueError."""
        if name not in self.splits:
            there = ", ".join(self.splits) or "none"
            raise ValueError(f"{self.title!r} has no split {name}; it has {there}.")
        split = self.splits[name]
        return split.model_copy(update={"options": {**self.options, **split.options}})


class ImageList(Section):
    """A data set that names images."""

    data_set: str
    split: SplitName = Field("train", description="Split whose images count.")


class Expected(Section):
    """What a plan counts with until the images are there."""

    images: int = Field(ge=1, description="Images that are looked for.")
    captions: int = Field(0, ge=0, description="Captions of all of them.")
    live: float = Field(1.0, gt=0, le=1, description="Share of the images that can be had.")
    source: str = Field(description="Where the numbers come from.")


class ImageSet(Section):
    """Images that are stored together."""

    lists: list[ImageList] = Field(min_length=1, description="Data sets that name the images.")
    archive: str | None = Field(None, description="Data set that ships the images in an archive; else by URL.")
    folder: str | None = Field(None, description="Folder on this machine that holds them.")
    mirror_images: str | None = Field(
        None, pattern=r"^https?://\S+/$", description="Where a mirror has them, one by one; the file name is added."
    )
    hold_out: HoldOut | None = Field(None, description="Split by a hash of the ids; null for none.")
    ids: Literal["own", "coco", "twins"] = Field(
        "own", description="Whether ids are COCO's, or the reader tells the COCO ids of some (twins)."
    )
    expected: Expected | None = None

    @property
    def mirror_host(self) -> str | None:
        """The folder of a mirror that holds the images."""
        return urlsplit(self.mirror_images).netloc if self.mirror_images else None

    def in_form(self, on_mirror: bool) -> "ImageSet":
        """Return the set in one form only: images on a mirror, or wherever they are otherwise."""
        if not on_mirror:
            return self.model_copy(update={"mirror_images": None})
        if self.mirror_images is None:
            raise ValueError("This image set has no mirror_images in the catalogue.")
        return self.model_copy(update={"archive": None})
