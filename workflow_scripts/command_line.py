"""What every command shares: errors as sentences, progress, files written whole or not at all."""

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; what a user can cause ends as one sentence and exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    try:
        main()
    except (ValueError, OSError) as error:
        if os.environ.get("WORKFLOW_TRACEBACK"):
            raise
        sys.exit(f"error: {error}\n(WORKFLOW_TRACEBACK=1 shows where it was raised)")


def progress(items: Iterable[Item], total: int | None, label: str) -> Iterator[Item]:
    """Yield the items and show how far it is: a bar in a terminal, plain lines in a log."""
    from tqdm import tqdm

    terminal = sys.stderr.isatty()
    yield from tqdm(
        items,
        total=total,
        desc=label,
        mininterval=0.5 if terminal else 10.0,
        ascii=not terminal,
        ncols=None if terminal else 80,
        file=sys.stderr if terminal else _Lines(),
    )


class _Lines:
    """A text stream that turns tqdm's carriage returns into lines."""

    def write(self, text: str) -> None:
        text = text.strip("\r\n\x1b[A ")
        if text:
            print(text, file=sys.stderr, flush=True)

    def flush(self) -> None:
        sys.stderr.flush()


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name and rename it, so that nobody ever sees half of it.

    Raises OSError that names the file when it cannot be written; what stood there before is kept.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"{error.strerror} (the old file, if any, was kept)", str(path)) from error
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically; NaN is an error, since no reader of JSON has to know it."""
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or damaged one is a ValueError that names it."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; run the rule that makes it first.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); delete it and run its rule again.") from error
