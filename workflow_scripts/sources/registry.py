"""The table of data sets, models and image sets that the workflow can fetch."""

from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from workflow_scripts.config.base import Section

TABLE = Path(__file__).with_name("registry.yaml")

ReaderName = Literal["coco", "conceptual_captions", "flickr8k", "minigpt4", "okvqa", "refcoco", "visual_genome"]


class SourceFile(Section):
    """One file on the web."""

    name: str = Field(min_length=1, description="Name under which it is stored.")
    url: str = Field(pattern=r"^https?://\S+$", description="Where its owner publishes it.")
    archive_url: str | None = Field(None, pattern=r"^https?://\S+$", description="A second place to try.")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="Checksum of the file, where known.")
    size: int | None = Field(None, ge=1, description="Bytes, where known.")
    unpack: bool = Field(False, description="Whether it is a zip file to unpack beside it.")

    @field_validator("name")
    @classmethod
    def _is_a_plain_name(cls, name: str) -> str:
        if PurePosixPath(name).name != name:
            raise ValueError(f"{name!r} is not a plain file name")
        return name


class Source(Section):
    """A data set or a model: files that are fetched together."""

    title: str
    licence: str
    citation: str
    files: list[SourceFile] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_distinct_files(self) -> "Source":
        names = [file.name for file in self.files]
        if len(names) != len(set(names)):
            raise ValueError(f"two files of {self.title!r} have the same name")
        return self


class ImageList(Section):
    """Annotations that name pictures."""

    data_set: str
    reader: ReaderName
    file: str | None = Field(None, description="Annotation file, where the data set has several.")
    subset: str | None = Field(None, description="Part of the data set, where one reader serves several.")


class ImageSet(Section):
    """Pictures that are stored together; listed by one or more data sets."""

    lists: list[ImageList] = Field(min_length=1)
    in_archive: bool = Field(False, description="Whether the data set ships its pictures in its archive.")


class Registry(Section):
    """The whole table."""

    data_sets: dict[str, Source]
    models: dict[str, Source]
    image_sets: dict[str, ImageSet]

    @model_validator(mode="after")
    def _names_known_data_sets(self) -> "Registry":
        for name, image_set in self.image_sets.items():
            for entry in image_set.lists:
                if entry.data_set not in self.data_sets:
                    raise ValueError(f"image set {name!r} names the unknown data set {entry.data_set!r}")
        return self

    def source(self, name: str) -> Source:
        """Return a data set or a model by name."""
        known = {**self.data_sets, **self.models}
        if name not in known:
            raise ValueError(f"The registry has no source {name!r}; it has {', '.join(sorted(known))}.")
        return known[name]

    def image_set(self, name: str) -> ImageSet:
        """Return an image set by name."""
        if name not in self.image_sets:
            known = ", ".join(sorted(self.image_sets))
            raise ValueError(f"The registry has no image set {name!r}; it has {known}.")
        return self.image_sets[name]


@cache
def load_registry(path: Path = TABLE) -> Registry:
    """Read and validate the table; a mistake in it is a ValueError that names the row."""
    try:
        return Registry.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(f"The registry {path} does not exist.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"The registry {path} is not valid YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the table"
        raise ValueError(f"The registry {path} has a mistake at {where}: {first['msg']}") from error
