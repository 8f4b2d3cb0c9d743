"""Serve a folder with one sub-folder a host, and run a command that takes it for the web."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.sources.child import run_beside, start_server
from workflow_scripts.sources.static_files import StaticFiles


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--root DIR [--port N] [-- command ...]`; exits with the command's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with one sub-folder a host")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 for a free one")
    parser.add_argument("command", nargs="*", help="after --: the command to run; without one, serve until Ctrl-C")
    arguments = parser.parse_args(argv)
    if not arguments.root.is_dir():
        raise ValueError(f"The mirror folder {arguments.root} does not exist; --root names one sub-folder a host.")
    handler = type("Files", (StaticFiles,), {"root": arguments.root})
    sys.exit(run_beside(start_server(handler, arguments.port), arguments.command))


if __name__ == "__main__":
    run_command(main)
