"""The table of all data sets and models of the catalogue, in Markdown, with the command that fetches each."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from workflow_scripts.catalogue.load import Catalogue, load_catalogue
from workflow_scripts.catalogue.sources import Source
from workflow_scripts.command_line import run_command, write_atomically

BEGIN, END = "<!-- sources: begin -->", "<!-- sources: end -->"


def human_size(source: Source) -> str:
    """Return the size of a source in words; nothing where it is unknown."""
    if source.size is None:
        return ""
    if source.size >= 0.95e9:
        return f"{source.size / 1e9:.1f} GB".replace(".0 GB", " GB")
    return f"{max(source.size / 1e6, 0.1):.1f} MB".replace(".0 MB", " MB")


def origin(source: Source) -> str:
    """Return where a source comes from: the address of its first file, and how many more there are."""
    first = source.files[0]
    more = f" and {len(source.files) - 1} more" if len(source.files) > 1 else ""
    if first.url:
        return f"<{first.url}>{more}"
    return (f"package `{first.package}`" if first.package else f"`{first.file}`") + more


def fetch_command(name: str, is_model: bool) -> str:
    """Return the command that fetches a source."""
    if is_model:
        return f"`python -m workflow_scripts.sources.fetch_models --model {name} --output DIR`"
    return f"`python -m workflow_scripts.sources.fetch_files --source {name} --output DIR`"


def _is_miniature(source: Source) -> bool:
    # What the miniature world publishes is nowhere on the web (RFC 2606 keeps .example free).
    return (urlsplit(source.files[0].url or "").hostname or "").endswith(".example")


def render(catalogue: Catalogue) -> str:
    """Return the table, data sets first, in the order of the catalogue, of all rows that have files of their own."""
    lines = ["| name | what | licence | size | source | command |", "|---|---|---|---:|---|---|"]
    rows = [(name, source, False) for name, source in catalogue.data_sets.items()]
    rows += [(name, source, True) for name, source in catalogue.models.items()]
    rows = [row for row in rows if row[1].files and not _is_miniature(row[1])]
    for name, source, is_model in rows:
        what = source.title + (" (needs a token)" if source.gated else "") + (" †" if source.unverified else "")
        cells = (f"`{name}`", what, source.licence, human_size(source), origin(source), fetch_command(name, is_model))
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    lines += ["", "† something of this row was not seen at its source, as `unverified` in the catalogue says."]
    return "\n".join(lines) + "\n"


def put_into(text: str, table: str) -> str:
    """Return a text with the table in the place between its marks; ValueError where it has none."""
    before, found, rest = text.partition(BEGIN)
    _, found_too, after = rest.partition(END)
    if not found or not found_too:
        raise ValueError(f"The text has no place for the table: it needs the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{table}{END}{after}"


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `[--into README.md] [--catalogue F ...]`; prints the table, or puts it between the file's marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, help="file whose table is written anew")
    parser.add_argument("--catalogue", nargs="+", default=[], help="more files, or folders, of rows")
    arguments = parser.parse_args(argv)
    table = render(load_catalogue(arguments.catalogue))
    if arguments.into:
        write_atomically(arguments.into, put_into(arguments.into.read_text(encoding="utf-8"), table))
    else:
        print(table, end="")


if __name__ == "__main__":
    run_command(main)
