"""Metrics as lines of JSON in the run folder: the record that everything else is derived from."""

import json
import os
from pathlib import Path
from typing import Any


class MetricsRecorder:
    """Appends one line of JSON for each set of metrics.

    Args:
        path: the file.
        offset: bytes to keep; what an interrupted attempt wrote behind its last checkpoint is cut off,
            since the resumed training writes it again.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        size = path.stat().st_size if path.exists() else 0
        if size < offset:
            raise ValueError(
                f"{path} has {size} bytes, but the checkpoint was written when it had {offset}; restore it."
            )
        self._stream = open(path, "ab")  # noqa: SIM115 (lives as long as the training)
        self._stream.truncate(offset)

    def write(self, metrics: dict[str, Any]) -> None:
        """Append metrics as one line, visible to readers at once."""
        self._stream.write((json.dumps(metrics, allow_nan=False) + "\n").encode())
        self._stream.flush()

    def sync(self) -> int:
        """Bring everything to the disk and return the length of the file in bytes."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._stream.seek(0, os.SEEK_END)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines, a missing one as empty; a last line that is being written is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        return [json.loads(line) for line in lines if line]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} has a line that is not JSON ({error}); remove that line.") from error
