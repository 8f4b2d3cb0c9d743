"""What every command shares: errors as sentences, progress, files written whole or not at all."""

import io
import json
import logging
import os
import select
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from workflow_scripts.explain_error import explain_error, is_full_disk

Item = TypeVar("Item")


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; what a user can cause ends as one sentence and exit code 1.

    A character that the terminal does not know is printed as its number. Where the reader of a pipe has gone, as `head`
    does, the command ends without a word, as one ends that the system stops for it.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    _print_on_any_terminal()
    code: str | int | None = None
    try:
        try:
            main()
        except SystemExit as end:
            code = end.code
        if sys.stdout is not None:
            sys.stdout.flush()
    except Exception as error:
        if not isinstance(error, ValueError | OSError) and not is_full_disk(error):
            raise
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            code = 128 + signal.SIGPIPE
        elif os.environ.get("WORKFLOW_TRACEBACK"):
            raise
        else:
            code = f"error: {explain_error(error)}\n(WORKFLOW_TRACEBACK=1 shows where it was raised)"
    _flush_or_drop()
    if code is not None:
        sys.exit(code)


def _print_on_any_terminal() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _reader_has_gone() -> bool:
    """Whether standard output or standard error is a pipe that nobody reads any more."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # not a file, as under tests
            poll.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _flush_or_drop() -> None:
    """Let nothing stay in a stream that Python would try, and complain, to write when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, AttributeError):  # or there is no stream at all
            with suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, f"{error.strerror} (the old file, if any, was kept)", str(path)) from error
        raise


def reserve(path: Path) -> None:
    """Take the room of a file that will be written through memory; OSError that names it where there is none.

    Without room, writing to mapped memory ends the process by a signal, and nothing can be said.
    """
    with open(path, "r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, os.fstat(stream.fileno()).st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically; NaN is an error, since no reader of JSON has to know it."""
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of this workflow; a missing or damaged one is a ValueError that names it."""
    path = Path(path)
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist; make it first, or look at its name.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error}); make it again.") from error
