"""Tables of a user's own: CSV, TSV, JSON lines, Parquet, a folder with metadata, a data set that `datasets` saved.

`datasets` reads all but JSON lines, where it takes text that looks like a date for one. What it reads of CSV and TSV is
text, as it stands: an id 007 stays 007, an answer NA is an answer. Its cache is the folder HF_DATASETS_CACHE, or a
temporary one, and never lies in the home folder.
"""

import csv
import glob
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.catalogue.load import nearest

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON = (".jsonl", ".ndjson", ".json")
ENDINGS = (*SEPARATORS, *JSON, ".parquet")
CACHE_VARIABLE = "HF_DATASETS_CACHE"
_SAVED = {"dataset_dict.json", "state.json"}
_BLOCK = 1000

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table: its columns, and a function that yields its rows with the part that each is in, if the table has parts.

    `prefix` is where the folder of the table is, from the user's folder: file names in the table start there.
    """

    name: str
    columns: list[str]
    rows: Callable[[], Iterator[tuple[str, Row]]]
    prefix: str = ""

    def check_column(self, column: str, option: str) -> None:
        """Raise ValueError where the table has not the column that an option of its reader names."""
        if column not in self.columns:
            only = self.columns[0] if len(self.columns) == 1 else ""
            other = next((mark for mark in (";", "\t", "|") if mark in only), "")
            hint = f"; is it separated by {other!r}? Say so by the option separator" if other else ""
            raise ValueError(
                f"{self.name} has no column {column!r}, which the option {option} names; "
                f"{nearest(column, self.columns).rstrip('.')}{hint}."
            )


def open_table(folder: Path, file: str | None, separator: str | None = None) -> Table:
    """Open the one table of a folder, or the one that `file` names.

    Raises:
        ValueError: there is no such table, several, or it cannot be read: what is wrong and what to do.
    """
    path = _find(Path(folder), file)
    name = path.relative_to(folder).as_posix()
    # A folder is copied below its name: file names in photos/train/metadata.csv start in train.
    inside = path.parent.relative_to(folder).parts[1:] if path.stem == "metadata" else ()
    prefix = "".join(f"{part}/" for part in inside)
    if path.is_dir():
        columns, rows = _open_saved(path, name)
    elif path.suffix.lower() in SEPARATORS:
        columns, rows = _open_separated(path, name, separator or SEPARATORS[path.suffix.lower()])
    elif path.suffix.lower() in JSON:
        columns, rows = _open_json(path, name)
    else:
        columns, rows = _open_parquet(path, name)
    return Table(name, columns, rows, prefix)


def _find(folder: Path, file: str | None) -> Path:
    if not folder.is_dir():
        raise ValueError(f"The annotation folder {folder} does not exist; fetch the data set first.")
    saved = sorted({path.parent for name in _SAVED for path in folder.rglob(name)})
    saved = [path for path in saved if not any(other in path.parents for other in saved)]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / "manifest.json"]
    files = [path for path in files if not any(one in path.parents for one in saved) and not path.name.startswith(".")]
    tables = [*saved, *(path for path in files if path.suffix.lower() in ENDINGS)]
    names = {path.relative_to(folder).as_posix(): path for path in [*tables, *files]}
    if file is None:
        if len(tables) == 1:
            return tables[0]
        there = ", ".join(path.relative_to(folder).as_posix() for path in tables)
        if tables:
            raise ValueError(f"{folder} holds several tables, {there}: name one by the option file.")
        raise ValueError(f"{folder} holds no table, but {', '.join(names) or 'nothing'}; {_READ}.")
    wanted = file.rstrip("/")
    found = [path for name, path in names.items() if f"/{name}".endswith(f"/{wanted}")]
    if not found:
        raise ValueError(f"{folder} holds no file {file!r}; {nearest(file, names)}")
    if found[0] not in tables:
        raise ValueError(f"{file} is no table that can be read; {_READ}.")
    return found[0]


_READ = f"a table is {', '.join(ENDINGS)} or a folder that datasets.save_to_disk wrote: save it as one of them"


@contextmanager
def _cache() -> Iterator[str]:
    """The folder of `datasets`' cache."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="datasets-") as folder:
        yield folder


def _open_separated(path: Path, name: str, separator: str) -> tuple[list[str], Callable[[], Iterator[tuple[str, Row]]]]:
    columns = _check_separated(path, name, separator)

    def rows() -> Iterator[tuple[str, Row]]:
        import datasets

        datasets.disable_progress_bars()
        features = datasets.Features({column: datasets.Value("string") for column in columns})
        how = {"sep": separator, "encoding": "utf-8-sig", "keep_default_na": False, "na_filter": False}
        with _cache() as cache:
            # Columns are named here: else pandas takes the first for an index where lines end with a separator.
            table = datasets.Dataset.from_csv(
                glob.escape(str(path)),
                features=features,
                cache_dir=cache,
                header=0,
                names=columns,
                index_col=False,
                **how,
            )
            yield from _rows_of(table, "")

    return columns, rows


def _check_separated(path: Path, name: str, separator: str) -> list[str]:
    """Read a CSV or TSV once for its header and for what is wrong with it."""
    _check_encoding(path, name)
    columns: list[str] = []
    count = 0
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator, strict=True)
        try:
            for fields in reader:
                if not columns:
                    columns = [column.strip() for column in fields]
                    continue
                count += bool(fields)
                if any(fields[len(columns) :]):
                    raise ValueError(
                        f"{name} has {len(fields)} fields in line {reader.line_num}, but {len(columns)} columns: put a "
                        f"text with {separator!r} in it into quotes."
                    )
        except csv.Error as error:
            raise ValueError(
                f"{name} cannot be read near line {reader.line_num} ({error}): put a text with quotes in it into "
                "quotes, and double each of its own."
            ) from error
    while columns and not columns[-1]:  # of separators at the ends of lines
        columns.pop()
    columns = [column or f"column {number}" for number, column in enumerate(columns, start=1)]
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise ValueError(f"{name} has two columns {twice!r}; rename one of them.")
    if not count:
        raise ValueError(f"{name} is empty: it has no row{' but its header' if columns else ''}.")
    return columns


def _check_encoding(path: Path, name: str) -> None:
    """Raise ValueError where a text file is not UTF-8, with the command that makes it so."""
    with path.open("rb") as stream:
        start = stream.read(4096)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise ValueError(f"{name} is not UTF-8, but most likely UTF-16; {_as_utf_8(name, 'UTF-16')}")
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                raise ValueError(
                    f"{name} is not UTF-8, but most likely Latin-1 (line {number}); {_as_utf_8(name, 'LATIN1')}"
                ) from None


def _as_utf_8(name: str, encoding: str) -> str:
    file = Path(name).name
    return (
        f"save it as UTF-8: a spreadsheet calls it 'CSV UTF-8'; or: iconv -f {encoding} -t UTF-8 {file} > utf8_{file}"
    )


def _open_json(path: Path, name: str) -> tuple[list[str], Callable[[], Iterator[tuple[str, Row]]]]:
    _check_encoding(path, name)
    columns: dict[str, None] = {}
    count = 0
    for row in _json_rows(path, name):
        columns |= dict.fromkeys(row)
        count += 1
    if not count:
        raise ValueError(f"{name} is empty: it has no row.")
    return list(columns), lambda: (("", row) for row in _json_rows(path, name))


def _json_rows(path: Path, name: str) -> Iterator[Row]:
    """Objects of JSON lines, or of a list; numbers stay as they are written."""
    with path.open(encoding="utf-8-sig") as stream:
        start = stream.read(1024).lstrip()
        stream.seek(0)
        if start.startswith("["):
            lines = enumerate([stream.read()], start=1)
        else:
            lines = ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
        for number, text in lines:
            try:
                content = json.loads(text.removeprefix("\ufeff"), parse_int=str, parse_float=str)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{name} is not JSON in line {number} ({error.msg}): each line is an object, or the file one list."
                ) from error
            for row in content if isinstance(content, list) else [content]:
                if not isinstance(row, dict):
                    raise ValueError(f"{name} has in line {number} {str(row)[:80]!r}, expected an object.")
                yield row


def _open_parquet(path: Path, name: str) -> tuple[list[str], Callable[[], Iterator[tuple[str, Row]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns, count = list(file.schema_arrow.names), file.metadata.num_rows
    except pa.ArrowException as error:
        raise ValueError(f"{name} is not a complete Parquet file ({error}).") from error
    if not count:
        raise ValueError(f"{name} is empty: it has no row.")

    def rows() -> Iterator[tuple[str, Row]]:
        import datasets

        datasets.disable_progress_bars()
        with _cache() as cache:
            yield from _rows_of(datasets.Dataset.from_parquet(glob.escape(str(path)), cache_dir=cache), "")

    return columns, rows


def _open_saved(path: Path, name: str) -> tuple[list[str], Callable[[], Iterator[tuple[str, Row]]]]:
    import datasets

    try:
        content = datasets.load_from_disk(str(path))
    except Exception as error:  # datasets, pyarrow and json raise many kinds for what is damaged
        raise ValueError(f"{name} is not a whole saved data set ({error}); save it again.") from error
    parts = content if isinstance(content, dict) else {"": content}
    if not any(len(part) for part in parts.values()):
        raise ValueError(f"{name} is empty: it has no row.")
    columns = list(dict.fromkeys(column for part in parts.values() for column in part.column_names))
    return columns, lambda: (row for part, table in parts.items() for row in _rows_of(table, str(part)))


def _rows_of(table: Any, part: str) -> Iterator[tuple[str, Row]]:
    """Rows as they are stored: images are not decoded."""
    for block in table.with_format("arrow").iter(_BLOCK):
        yield from ((part, row) for row in block.to_pylist())
