"""One kind of record, whatever data set it comes from, and the readers that give records, found by name."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from workflow_scripts.catalogue.load import nearest
from workflow_scripts.config.base import Section

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Record:
    """What a data set says of one image, in its own words; nothing is cleaned or worded yet.

    `id` is unique in its data set. `answers` are all right answers; `spoken` are the same as people said them, where
    `answers` are stemmed for a scorer. `words` fill the slots of a task's templates. `box` is (x, y, w, h) in pixels of
    an image of `size` (width, height). `part` is the data set's own name of the split that the record is in.
    """

    id: str
    image_id: str
    task: str
    query: str = ""
    answers: tuple[str, ...] = ()
    spoken: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    box: Box | None = None
    size: tuple[int, int] | None = None
    kind: str | None = None
    group: str | None = None
    part: str = ""

    @property
    def answer(self) -> str:
        """The answer that most annotators gave; among equals, the first."""
        return most_frequent(self.answers)

    @property
    def said(self) -> str:
        """The same as people said it: what a system learns to say."""
        return most_frequent(self.spoken or self.answers)


def most_frequent(texts: tuple[str, ...]) -> str:
    """Return the most frequent text, the first among equals; an empty one where there is none."""
    if len(texts) < 2:  # as millions of captions are
        return texts[0] if texts else ""
    return Counter(texts).most_common(1)[0][0]


@dataclass
class Reading:
    """Records one after the other, and what was left out, which is whole when all records are read.

    `in_order` says that records come in ascending order of image ids.
    """

    records: Iterable[Record]
    removed: Counter[str] = field(default_factory=Counter)
    in_order: bool = False


class Reader(Protocol):
    """What a module of `data/readers` has."""

    Options: type[Section]

    def read(self, folder: Path, options: Any, tasks: frozenset[str]) -> Reading:
        """Read the records of these tasks from a folder of fetched files."""
        ...

    def images(self, folder: Path, options: Any) -> dict[str, str]:
        """Return by id the URLs of the images that the files name, or file names where they have no URL."""
        ...


def reader_of(name: str) -> Any:
    """Return the module of a reader (see `Reader`)."""
    return import_module(f"workflow_scripts.data.readers.{name}")


def reader_options(name: str, options: Mapping[str, Any], where: str) -> Section:
    """Return the options of a reader, validated; a wrong one is a ValueError that begins with `where`."""
    kind: type[Section] = reader_of(name).Options
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        key, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            raise ValueError(
                f"{where}: the reader {name} has no option {key}; {nearest(key, kind.model_fields)}"
            ) from None
        if first["type"] == "missing":
            raise ValueError(f"{where}: the reader {name} needs the option {key}.") from None
        of = f"the option {key} of the reader {name}" if key else f"the options of the reader {name}"
        raise ValueError(f"{where}: {of}: {message}.") from None
