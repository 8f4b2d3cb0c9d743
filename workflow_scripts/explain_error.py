"""Say of an error of the system or of a damaged file which file it is about, and what can be done."""

import argparse
import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

_PLACE = "name another place, or change its permissions"
_WAYS_OUT = {
    errno.ENOSPC: "make room there, or name a place on another disk, and run the command again",
    errno.EDQUOT: "make room within the quota, or name a place on another disk, and run the command again",
    errno.EFBIG: "raise the limit (`ulimit -f`), or name a place on a disk that takes larger files",
    errno.EACCES: _PLACE,
    errno.EPERM: _PLACE,
    errno.EROFS: "name a place that can be written",
    errno.ENOENT: "look at its name",
    errno.ENOTDIR: "a file stands where a folder is needed: look at the name",
    errno.EISDIR: "name a file, or the file in it",
    errno.EEXIST: "name another place, or move it away",
    errno.ENOTEMPTY: "name another place, or move away what is in it",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ELOOP: "its links lead in a circle: mend them",
    errno.EMFILE: "raise the limit of open files (`ulimit -n 4096`) and run the command again",
    errno.ENFILE: "this machine has no more open files to give: run the command again later",
    errno.ENOMEM: "free some memory, or ask for more, and run the command again",
    errno.EADDRINUSE: "another program has that port: name another one",
    errno.EIO: "the disk or its connection fails: look at it before the command is run again",
    errno.ESTALE: "its file server has lost it: run the command again",
}
# As SQLite, safetensors and PyTorch have it, the last of which says only that it is not where it wanted to be.
_FULL = ("No space left on device", "database or disk is full", "inline_container.cc")
_OTHERWISE = "look at it and run the command again"
_NETWORK = "look at the connection, and at the proxy where there is one, and run the command again"


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error of a library, whatever its kind, comes from a disk that is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in _FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def explain_error(error: Exception) -> str:
    """The error as a sentence that names its file and a way out; one that was written as a sentence stays as it is."""
    if isinstance(error, UnicodeDecodeError):
        return f"{_where(error)} is not text in {error.encoding.upper()} ({error.reason}); save it so, or name another."
    if isinstance(error, UnicodeEncodeError):
        return (
            f"{error.object[:60]!a} cannot be written in {error.encoding.upper()} ({error.reason}); rename or mend it."
        )
    if type(error) is json.JSONDecodeError:
        return f"{_where(error)} is not valid JSON ({error}); look at it, or make it again."
    if not isinstance(error, OSError) and is_full_disk(error):
        return explain_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)).with_traceback(error.__traceback__))
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    reason = error.strerror or os.strerror(error.errno)
    way_out = _WAYS_OUT.get(error.errno, _NETWORK if isinstance(error, ConnectionError | TimeoutError) else _OTHERWISE)
    if error.filename is not None:
        paths = [os.fsdecode(name) if isinstance(name, bytes) else str(name) for name in _names(error)]
        return f"{' -> '.join(paths)}: {reason}; {way_out}."
    where = _where(error)
    return f"{reason}, at {where}{_room(where, error.errno)}; {way_out}."


def _names(error: OSError) -> list[Any]:
    return [name for name in (error.filename, error.filename2) if name is not None]


def _room(path: str, number: int) -> str:
    """How much room is left, where that is the question."""
    if number != errno.ENOSPC or not os.path.lexists(path):
        return ""
    folder = next((one for one in (Path(path), *Path(path).parents) if one.is_dir()), None)
    if folder is None:
        return ""
    return f" ({shutil.disk_usage(folder).free / 2**20:,.0f} MiB are free there)"


def _where(error: Exception) -> str:
    """The file that the failing code had in hand: libraries raise errors of writing and decoding without its name.

    It is looked for in the variables of the functions that were running, from the innermost outwards: the file that one
    had open, or else its path. Standard output is told by the `print` that failed, or by failing again.
    """
    if isinstance(error, OSError) and (stream := _failing_stream(error)):
        return stream
    frames = _frames(error)
    for find in (_name_of_file, _name_of_path, _name_in_text, _name_of_output):
        for frame in frames:
            for value in _values(frame.f_locals):
                if name := find(value):
                    return name
    return "a file of this command"


def _failing_stream(error: OSError) -> str | None:
    """Name the stream that still cannot be written, what could not be written being kept by it."""
    for name, stream in (("standard output", sys.stdout), ("standard error", sys.stderr)):
        try:
            stream.flush()
        except OSError as again:
            if again.errno == error.errno:
                return name
        except (ValueError, AttributeError):  # closed, or none
            continue
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return "standard output" if last and "print(" in (last[0].line or "") else None


def _frames(error: Exception) -> list[FrameType]:
    frames = []
    trace = error.__traceback__
    while trace:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return frames[::-1]


def _values(variables: Mapping[str, Any]) -> Iterator[Any]:
    for value in variables.values():
        yield value
        # A method's own file, as that of tarfile and of numpy's writers.
        yield from (inner for inner in _attributes(value).values() if hasattr(inner, "write"))


def _attributes(value: Any) -> Mapping[str, Any]:
    found = getattr(value, "__dict__", None)
    return found if isinstance(found, dict) and not isinstance(value, type) else {}


def _name_of_file(value: Any) -> str | None:
    if not (hasattr(value, "read") or hasattr(value, "write")) or isinstance(value, Path | type):
        return None
    name = getattr(value, "name", None)
    return name if isinstance(name, str) and name and not name.startswith("<") else None


def _name_in_text(value: Any) -> str | None:
    return value if isinstance(value, str) and os.sep in value and os.path.lexists(value) else None


def _name_of_output(value: Any) -> str | None:
    """What a command was asked to write, among its arguments."""
    output = getattr(value, "output", None) if isinstance(value, argparse.Namespace) else None
    return str(output) if isinstance(output, Path) else None


def _name_of_path(value: Any) -> str | None:
    return str(value) if isinstance(value, Path) else None
