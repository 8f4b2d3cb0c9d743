"""Fetch a model into a folder with SHA256SUMS and a card."""

import argparse
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.catalogue.sources import Source
from workflow_scripts.command_line import run_command, write_atomically
from workflow_scripts.sources.fetch_files import fetch_source, read_checksums
from workflow_scripts.sources.transfer import Patience
from workflow_scripts.sources.unpickle_weights import PICKLES, unpickle_weights

# Where transformers looks for a template that a tokenizer's own files lack.
CHAT_TEMPLATE = "chat_template.jinja"


def card(name: str, source: Source) -> str:
    """Return the README of a fetched model."""
    lines = [f"# {source.title}", "", f"`{name}` in the catalogue. Licence: {source.licence}.", "", source.citation, ""]
    lines += [f"- `{file.name}` from {file.origin}" for file in source.files]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--model NAME --output DIR [--checksums F.json] [--catalogue F ...]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of a model in the catalogue")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--catalogue", nargs="*", default=[], help="more files or folders of rows")
    parser.add_argument("--checksums", type=Path, help="JSON of sha256 by URL, in place of the catalogue's")
    arguments = parser.parse_args(argv)
    source = load_catalogue(arguments.catalogue).model(arguments.model)
    files = fetch_source(source, arguments.output, Patience(), read_checksums(arguments.checksums))
    if source.chat_template:
        write_atomically(arguments.output / CHAT_TEMPLATE, source.chat_template)
    write_atomically(arguments.output / "README.md", card(arguments.model, source))
    sums = {name: entry["sha256"] for name, entry in files.items() if not fnmatch(name, PICKLES)}
    if len(sums) < len(files):
        sums |= unpickle_weights(arguments.output)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    write_atomically(arguments.output / "SHA256SUMS", lines)


if __name__ == "__main__":
    run_command(main)
