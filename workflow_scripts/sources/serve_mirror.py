"""Serve a folder with one sub-folder a host, and run a command that takes it for the web."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.sources.child import run_beside, start_server
from workflow_scripts.sources.static_files import StaticFiles


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `[--root DIR] [--port N] [-- command ...]`; exits with the command's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder with one sub-folder a host; else what MIRROR_FOLDER names")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 for a free one")
    parser.add_argument("command", nargs="*", help="after --: the command to run; without one, serve until Ctrl-C")
    arguments = parser.parse_args(argv)
    root = arguments.root or Path(os.environ.get("MIRROR_FOLDER") or "-")
    if not root.is_dir():
        raise ValueError(f"The mirror folder {root} does not exist; --root, or MIRROR_FOLDER, names it.")
    handler = type("Files", (StaticFiles,), {"root": root})
    sys.exit(run_beside(start_server(handler, arguments.port), arguments.command))


if __name__ == "__main__":
    run_command(main)
