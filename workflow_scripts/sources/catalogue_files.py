"""Write into the catalogue's YAML what was found out of its files: line by line, so that comments and order stay."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.catalogue.load import FOLDER
from workflow_scripts.command_line import write_atomically

Found = Mapping[tuple[str, str], int | None]
"""Size, where it is known, by source and file name."""


def update_rows(found: Found, today: date, more: Sequence[str | Path] = ()) -> list[Path]:
    """Write `checked` and `size` into the rows of files; returns the files of the catalogue that changed.

    A row that stands for many files, by a range in its name, gets the day if all of them were found, and no size. Rows
    in braces, on one line, are left as they are.
    """
    changed = []
    for place in (FOLDER, *map(Path, more)):
        for path in sorted([*place.glob("*.yaml"), *place.glob("*.yml")]) if place.is_dir() else [place]:
            text = path.read_text(encoding="utf-8")
            new = updated(text, found, today)
            if new != text:
                write_atomically(path, new)
                changed.append(path)
    return changed


def updated(text: str, found: Found, today: date) -> str:
    """Return the text of a file of the catalogue with the rows of files that were found in it."""
    lines = text.splitlines(keepends=True)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    edits: list[tuple[int, str, int, dict[str, str]]] = []
    for section in ("data_sets", "models"):
        for name, row in _entries(_entry(root, section)):
            files = _entry(row, "files")
            for file in files.value if isinstance(files, yaml.SequenceNode) else []:
                values = _values(name, file, found, today)
                if values and not file.flow_style:
                    edits += _edits(file, values)
    # From below, so that the numbers of the lines above stay right.
    for line, kind, column, value in sorted(edits, key=lambda edit: edit[0], reverse=True):
        if kind == "insert":
            lines[line:line] = [" " * column + f"{key}: {one}\n" for key, one in value.items()]
        else:
            ((old, new),) = value.items()
            lines[line] = lines[line][:column] + new + lines[line][column + len(old) :]
    return "".join(lines)


def _entries(node: Any) -> list[tuple[str, Any]]:
    return [(key.value, value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _entry(node: Any, name: str) -> Any:
    return next((value for key, value in _entries(node) if key == name), None)


def _values(source: str, file: Any, found: Found, today: date) -> dict[str, str]:
    """What is to stand in a row: nothing where its file was not found."""
    name = getattr(_entry(file, "name"), "value", "")
    if (source, name) in found:
        size = found[source, name]
        return {**({"size": str(size)} if size else {}), "checked": today.isoformat()}
    # A range: its files have the name with a number in place of the braces.
    before, brace, rest = name.partition("{")
    numbers, _, after = rest.partition("}")
    first, dots, last = numbers.partition("..")
    if not brace or not dots:
        return {}
    wanted = [f"{before}{number:0{len(first)}d}{after}" for number in range(int(first), int(last) + 1)]
    return {"checked": today.isoformat()} if all((source, one) in found for one in wanted) else {}


def _edits(file: Any, values: dict[str, str]) -> list[tuple[int, str, int, dict[str, str]]]:
    """Edits of one row: what stands there is replaced, and the rest inserted below its address."""
    edits: list[tuple[int, str, int, dict[str, str]]] = []
    missing = dict(values)
    below, column = 0, 0
    for key, value in file.value:
        column = key.start_mark.column
        if key.value in ("url", "archive_url"):
            below = value.end_mark.line + 1
        if key.value in missing:
            new = missing.pop(key.value)
            if value.value != new:
                edits.append((value.start_mark.line, "replace", value.start_mark.column, {value.value: new}))
    return [*edits, (below, "insert", column, missing)] if missing and below else edits
