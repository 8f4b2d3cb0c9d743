"""Rows of what is fetched: a data set or a model, by its files."""

import re
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from workflow_scripts.config.base import Section

URL = r"^https?://\S+$"
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


class SourceFile(Section):
    """One file: on the web, in an installed Python package, or on this machine."""

    name: str = Field(min_length=1, description="Name under which it is stored.")
    url: str | None = Field(None, pattern=URL, description="Where its owner publishes it.")
    archive_url: str | None = Field(None, pattern=URL, description="A second place to try.")
    package: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._-]+==\S+$", description="Package that holds it: name==version."
    )
    path: str | None = Field(None, description="Its place in the package.")
    file: str | None = Field(None, description="Its place on this machine, from the folder of the row's own file.")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="Checksum of the file, where known.")
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}$", description="The same, where it is all that is published.")
    size: int | None = Field(None, ge=1, description="Bytes, where known.")
    checked: date | None = Field(None, description="Day on which its address was last asked; sources/verify.py.")
    unpack: bool = Field(False, description="Whether it is a zip or tar file to unpack beside it.")

    @field_validator("name")
    @classmethod
    def _is_a_plain_name(cls, name: str) -> str:
        if PurePosixPath(name).name != name:
            raise ValueError(f"{name!r} is not a plain file name")
        return name

    @model_validator(mode="after")
    def _has_one_origin(self) -> "SourceFile":
        origins = [self.url, self.package, self.file]
        if sum(origin is not None for origin in origins) != 1 or (self.package is None) != (self.path is None):
            raise ValueError(f"{self.name!r} must have either a url, or a package and a path in it, or a file")
        if self.archive_url is not None and self.url is None:
            raise ValueError(f"{self.name!r} has an archive_url, but no url")
        if self.md5 is not None and self.url is None:
            raise ValueError(f"{self.name!r} has an md5, but no url; give it a sha256")
        return self

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        return self.url or self.file or f"{self.path} in the Python package {self.package}"


class Source(Section):
    """A data set or a model: files that are fetched together.

    A file named `part-{0000..0575}.tar` stands for 576 files; its address has the same braces.
    """

    title: str
    licence: str = Field("not stated", description="Under which it may be used.")
    citation: str = Field("none", description="Who made it.")
    gated: str | None = Field(
        None, pattern=URL, description="Page on which its owner grants access, where files need a token."
    )
    unverified: str | None = Field(
        None, description="What of this row nobody has seen at its source: written from memory or from third parties."
    )
    otherwise: str | None = Field(None, description="What to do where it cannot be fetched; a sentence.")
    gigabytes: float | None = Field(None, gt=0, description="Size of all files, about, where single sizes are unknown.")
    chat_template: str | None = Field(None, description="Chat template of a language model that comes without one.")
    files: list[SourceFile] = Field([], description="What is fetched.")
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
            raise ValueError(f"{self.title!r} has no mirror_files in the catalogue; it is fetched from its owner only.")
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


def is_on_mirror(host: str | None, folder: Path | None) -> bool:
    """Tell whether a mirror (one sub-folder a host) holds the second form of a row, which lies on `host`."""
    return folder is not None and host is not None and (folder / host).is_dir()
