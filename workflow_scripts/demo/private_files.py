"""Where the demo's uploads and pictures lie while it runs: in a folder of its user alone, which is gone afterwards."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

_WHERE = "GRADIO_TEMP_DIR"  # read when components are made, and again with each file


@contextlib.contextmanager
def private_files() -> Iterator[Path]:
    """Let Gradio keep its files in a new folder, which goes at the end, and what the page has shown with it."""
    before = os.environ.get(_WHERE)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        os.environ[_WHERE] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ[_WHERE]
            else:
                os.environ[_WHERE] = before


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl+C does, since by default it leaves files behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
