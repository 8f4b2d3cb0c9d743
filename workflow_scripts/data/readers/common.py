"""What the readers share: files found by name, JSON opened, records checked."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.files.walk import find_by_name


def find_file(folder: Path, *names: str) -> Path:
    """Find an annotation file by its published name, wherever an archive unpacked it below the folder."""
    folder = Path(folder)
    if folder.is_file() and folder.name in names:
        return folder
    if not folder.is_dir():
        raise ValueError(f"The annotation folder {folder} does not exist; fetch the data set first.")
    path, found = find_by_name(folder, names)
    if path is not None:
        return path
    unread = "".join(f" {found.name(path)} is {reason}." for path, reason in found.not_read[:5])
    raise ValueError(f"{folder} holds no file named {' or '.join(names)}; fetch the data set again.{unread}")


def load_json(path: Path) -> Any:
    """Read an annotation file; a missing, truncated or binary one is a ValueError that names it."""
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise ValueError(f"The annotation file {path} does not exist; fetch the data set first.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The annotation file {path} is not valid JSON ({error}); fetch it again.") from error


def records(container: Any, key: str | None, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (position, record) of the list under `key` (or of the list itself for None)."""
    entries = container.get(key) if key is not None and isinstance(container, dict) else container
    where = f"a list under {key!r}" if key is not None else "a list"
    if not isinstance(entries, list):
        raise ValueError(f"The annotation file {path} should hold {where}; it has another layout.")
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"Entry {position} of {where} in {path} is not an object; it has another layout.")
        yield position, entry


def required(record: dict[str, Any], name: str, path: Path, position: int) -> Any:
    """Return a field that a record cannot do without; an absent one is a ValueError with file and position."""
    try:
        return record[name]
    except KeyError:
        raise ValueError(f"Entry {position} of {path} has no field {name!r}; the layout has changed.") from None


def whole_number(record: dict[str, Any], name: str, path: Path, position: int) -> int:
    """Return a field that must be a whole number; anything else is a ValueError with file, position and what it is."""
    value = required(record, name, path, position)
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"Entry {position} of {path} has {name} = {value!r}, expected a whole number; the layout has changed."
        ) from None


def text_of(value: Any) -> str:
    """Return a text field as text, also where a file has a number or null in its place."""
    return "" if value is None else str(value)


def check_tasks(tasks: Collection[str], *given: str) -> None:
    """Raise ValueError where none of the tasks that are asked for is one that a reader gives records of."""
    if not set(tasks) & set(given):
        raise ValueError(
            f"There are no records of the task {', '.join(sorted(tasks)) or 'none'} here, but of {', '.join(given)}; "
            "correct the data set's row in the catalogue (its tasks, or the reader's options)."
        )
