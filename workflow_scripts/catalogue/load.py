"""The catalogue: what the workflow knows by name, read from the project's YAML files and from a user's own."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from workflow_scripts.catalogue.benchmarks import CAPTION, Benchmark, Task, split_part
from workflow_scripts.catalogue.data_sets import SPLIT_NAMES, DataSet, ImageList, ImageSet, Split, SplitName
from workflow_scripts.catalogue.sources import Source, is_on_mirror
from workflow_scripts.config.base import Section

FOLDER = Path(__file__).resolve().parents[2] / "catalogue"
PACKAGE = Path(__file__).resolve().parents[1]
SECTIONS = ("data_sets", "image_sets", "models", "tasks", "benchmarks")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Catalogue(Section):
    """All rows."""

    data_sets: dict[str, DataSet] = Field({})
    image_sets: dict[str, ImageSet] = Field({})
    models: dict[str, Source] = Field({})
    tasks: dict[str, Task] = Field({})
    benchmarks: dict[str, Benchmark] = Field({})

    def source(self, name: str) -> Source:
        """Return what is fetched under a name: a data set or a model."""
        return _row({**self.data_sets, **self.models}, "source", name)

    def data_set(self, name: str) -> DataSet:
        """Return a data set by name."""
        return _row(self.data_sets, "data set", name)

    def image_set(self, name: str) -> ImageSet:
        """Return an image set by name."""
        return _row(self.image_sets, "image set", name)

    def model(self, name: str) -> Source:
        """Return a model by name."""
        return _row(self.models, "model", name)

    def task(self, name: str) -> Task:
        """Return a task by name."""
        return _row(self.tasks, "task", name)

    def benchmark(self, name: str) -> Benchmark:
        """Return a benchmark by name."""
        return _row(self.benchmarks, "benchmark", name)

    def images_of(self, data_set: str, split: SplitName) -> str:
        """Return the image set that a split of a data set is about."""
        images = self.data_set(data_set).split(split).images
        assert images is not None, "rows without an image set get one of their own when the catalogue is read"
        return images

    def files_of(self, data_set: str, split: SplitName) -> str:
        """Return the row whose files a split of a data set is read from."""
        row = self.data_set(data_set)
        return row.split(split).files_of or row.files_of or data_set

    def native_task(self, part: str) -> str:
        """Return the task of the records that a part is made from; a task that its data set lacks is a ValueError."""
        data_set, name = split_part(part)
        row, task = self.data_set(data_set), self.task(name)
        if name in row.tasks:
            return name
        if task.of_captions and CAPTION in row.tasks:
            return CAPTION
        there = [*row.tasks, *(other for other in self.tasks if self.tasks[other].of_captions and CAPTION in row.tasks)]
        names = ", ".join(dict.fromkeys(there)) or "none"
        raise ValueError(f"{part!r}: the data set {data_set} has no records of the task {name}; it has {names}.")

    def for_mirror(self, folder: Path | None) -> "Catalogue":
        """Return the catalogue as a workflow has to use it: everything in one form only.

        Args:
            folder: a mirror, one sub-folder a host; what it holds the host of is taken in the form that mirrors have.
        """
        data_sets = {n: row.in_form(is_on_mirror(row.mirror_host, folder)) for n, row in self.data_sets.items()}
        image_sets = {n: row.in_form(is_on_mirror(row.mirror_host, folder)) for n, row in self.image_sets.items()}
        return self.model_copy(update={"data_sets": data_sets, "image_sets": image_sets})


def _row(rows: Mapping[str, Any], what: str, name: str) -> Any:
    if name not in rows:
        raise ValueError(f"The catalogue has no {what} {name!r}; {nearest(name, rows)}")
    return rows[name]


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest one, or all that there are."""
    there = sorted(names)
    close = difflib.get_close_matches(name, there, n=1)
    return f"did you mean {close[0]}?" if close else f"it has {', '.join(there) or 'none'}."


def load_catalogue(more: Sequence[str | Path] = ()) -> Catalogue:
    """Read the project's catalogue and more files, or folders of YAML files, of a user's own.

    Raises:
        ValueError: a file is missing or is no YAML, a row is wrong, has the name of another or names a row that is not
            there; file, row and what is allowed are named.
    """
    return _load(tuple(Path(path).absolute() for path in more))


@cache
def _load(more: tuple[Path, ...]) -> Catalogue:
    rows: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    origin: dict[tuple[str, str], Path] = {}
    for path in _files([FOLDER, *more]):
        for section, names in _sections(path).items():
            for name, row in names.items():
                before = origin.setdefault((section, name), path)
                if before != path:
                    raise ValueError(f"{path} has a row {name!r} of {section}, as {before} has: rename one of them.")
                rows[section][name] = _with_places(row, path.parent) if isinstance(row, dict) else row
    try:
        catalogue = Catalogue.model_validate(rows)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A misspelt field is missing, too: the field that is there says what was meant.
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        section, name = (*map(str, first["loc"][:2]), "", "")[:2]
        where = ".".join(map(str, first["loc"]))
        file = origin.get((section, name), FOLDER)
        hint, message = _hint(first, section), first["msg"].removeprefix("Value error, ")
        message = "there is no such field" if first["type"] == "extra_forbidden" else message
        raise ValueError(f"The catalogue {file} has a mistake at {where}: {message}{hint or '.'}") from None
    catalogue = _with_figures(_with_own_image_sets(catalogue))
    _check(catalogue, origin)
    return catalogue


def _hint(error: Any, section: str) -> str:
    if error["type"] != "extra_forbidden":
        return ""
    model = {"data_sets": DataSet, "image_sets": ImageSet, "models": Source, "tasks": Task, "benchmarks": Benchmark}
    kind = model.get(section)
    if kind is None:
        return f"; {nearest(str(error['loc'][-1]), SECTIONS)}"
    return f"; {nearest(str(error['loc'][-1]), kind.model_fields)}"


def _files(places: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise ValueError(f"catalogue: there is no file or folder {place}.")
        files = sorted([*place.glob("*.yaml"), *place.glob("*.yml")]) if place.is_dir() else [place]
        if not files:
            raise ValueError(f"catalogue: the folder {place} holds no .yaml file.")
        found += files
    return list(dict.fromkeys(found))


class _UniqueKeys(_Loader):
    """Reads YAML in which a key that stands twice is an error, where the second would win without a word."""


def _mapping(loader: Any, node: Any) -> dict[str, Any]:
    loader.flatten_mapping(node)
    pairs: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in pairs:
            raise ValueError(f"has the key {key!r} twice (line {key_node.start_mark.line + 1}): rename one of them")
        pairs[key] = loader.construct_object(value_node, deep=True)
    return pairs


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"The catalogue {path} is not valid YAML: {error}") from error
    except ValueError as error:
        raise ValueError(f"The catalogue {path} {error}.") from None
    if not isinstance(content, dict):
        raise ValueError(f"The catalogue {path} must hold {', '.join(SECTIONS)}, each with rows by name.")
    for section, names in content.items():
        if section not in SECTIONS:
            raise ValueError(f"The catalogue {path} has the unknown section {section!r}; {nearest(section, SECTIONS)}")
        if not isinstance(names, dict):
            raise ValueError(f"The catalogue {path} must hold rows by name under {section!r}.")
    return content


def _with_places(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A row whose files and folders on this machine are named from the root."""
    row = dict(row)
    if isinstance(row.get("folder"), str):
        row["folder"] = str(folder / row["folder"])
    if isinstance(row.get("files"), list):
        row["files"] = [
            {**file, "file": str(folder / file["file"])} if isinstance(file, dict) and "file" in file else file
            for file in row["files"]
        ]
    return row


def _with_own_image_sets(catalogue: Catalogue) -> Catalogue:
    """Give data sets that name no image set one of their own, of their name, split by a hash of the ids."""
    data_sets, image_sets = dict(catalogue.data_sets), dict(catalogue.image_sets)
    for name, row in catalogue.data_sets.items():
        if not row.reader:
            continue
        splits = row.splits or dict.fromkeys(SPLIT_NAMES, Split())
        own = [split for split, entry in splits.items() if entry.images is None]
        if own:
            lists = [ImageList(data_set=name, split=split) for split in (own if row.splits else own[:1])]
            held_out = None if row.splits else row.hold_out
            image_sets.setdefault(name, ImageSet(lists=lists, folder=row.folder, hold_out=held_out))
            splits = {**splits, **{split: splits[split].model_copy(update={"images": name}) for split in own}}
        data_sets[name] = row.model_copy(update={"splits": splits})
    return catalogue.model_copy(update={"data_sets": data_sets, "image_sets": image_sets})


def _with_figures(catalogue: Catalogue) -> Catalogue:
    """Call the figures of a benchmark by its name where its row does not say how."""
    rows = {n: row.model_copy(update={"figures": row.figures or n}) for n, row in catalogue.benchmarks.items()}
    return catalogue.model_copy(update={"benchmarks": rows})


def _check(catalogue: Catalogue, origin: Mapping[tuple[str, str], Path]) -> None:
    """Raise ValueError where a row names another one, a reader or a scorer that is not there."""
    for section in ("data_sets", "image_sets", "benchmarks"):
        for name, row in getattr(catalogue, section).items():
            try:
                _CHECKS[section](catalogue, row)
            except ValueError as error:
                place = origin.get((section, name), FOLDER)
                raise ValueError(f"{section}.{name} in {place}: {error}") from None


def _check_data_set(catalogue: Catalogue, row: DataSet) -> None:
    for task in row.tasks:
        catalogue.task(task)
    if row.reader:
        modules(row.reader, "data/readers", "", "reader")
    for name in filter(None, [row.files_of, *(split.files_of for split in row.splits.values())]):
        catalogue.data_set(name)
    for split in row.splits.values():
        if split.images is not None:
            catalogue.image_set(split.images)


def _check_image_set(catalogue: Catalogue, row: ImageSet) -> None:
    for entry in row.lists:
        catalogue.data_set(entry.data_set).split(entry.split)
    if row.archive is not None:
        catalogue.data_set(row.archive)


def _check_benchmark(catalogue: Catalogue, row: Benchmark) -> None:
    for part in row.parts:
        catalogue.native_task(part)
    modules(row.scorer, "evaluation", "score_", "scorer")


def modules(name: str, folder: str, prefix: str, what: str) -> None:
    """Raise ValueError where a folder of the package has no module of a name, with the nearest one that it has."""
    there = [path.stem.removeprefix(prefix) for path in (PACKAGE / folder).glob(f"{prefix}*.py")]
    there = [one for one in there if one not in ("__init__", "common")]
    if name not in there:
        raise ValueError(f"there is no {what} {name!r}; {nearest(name, there)}")


_CHECKS: dict[str, Any] = {
    "data_sets": _check_data_set,
    "image_sets": _check_image_set,
    "benchmarks": _check_benchmark,
}
