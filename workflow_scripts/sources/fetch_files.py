"""Fetch the files of a registered data set, verify and unpack them, and write a manifest."""

import argparse
import logging
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from workflow_scripts.command_line import read_json, run_command, write_json
from workflow_scripts.sources.registry import TABLE, Source, SourceFile, load_registry
from workflow_scripts.sources.transfer import Patience, fetch

logger = logging.getLogger("fetch_files")


def fetch_source(
    source: Source, output: Path, patience: Patience, checksums: dict[str, str] | None = None
) -> dict[str, dict]:
    """Fetch all files of a source into a folder and unpack its archives.

    Args:
        checksums: sha256 by URL; takes the place of the registry's checksums, for a mirror with other content.

    Returns:
        Per file name: url, sha256, bytes, and for archives the names of the unpacked files.
    """
    output.mkdir(parents=True, exist_ok=True)
    entries: dict[str, dict] = {}
    for file in source.files:
        target = output / file.name
        urls = [file.url, *([file.archive_url] if file.archive_url else [])]
        sha256 = file.sha256 if checksums is None else checksums.get(file.url)
        _check_space(file, output)
        found = fetch(urls, target, sha256, patience)
        entries[file.name] = {"url": file.url, "sha256": found, "bytes": target.stat().st_size}
        if file.unpack:
            entries[file.name]["unpacked"] = unpack(target, output)
        logger.info("%s: %d bytes", file.name, target.stat().st_size)
    return entries


def unpack(archive: Path, output: Path) -> list[str]:
    """Unpack a zip file into a folder; returns the relative names, sorted.

    Each file is written under a temporary name first. A name that leads out of the folder, and a damaged archive,
    are ValueErrors; in the latter case the archive is deleted, so that it is fetched again.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not member.is_dir()]
            for member in members:
                name = PurePosixPath(member.filename)
                if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
                    raise ValueError(f"{archive} holds the unsafe path {member.filename!r}; it is not unpacked.")
            for member in members:
                target = output / member.filename
                if target.is_file() and target.stat().st_size == member.file_size and _is_newer(target, archive):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = target.with_name(f".{target.name}.part")
                with content.open(member) as stream, temporary.open("wb") as out:
                    shutil.copyfileobj(stream, out, 1 << 20)
                temporary.replace(target)
    except (zipfile.BadZipFile, EOFError) as error:
        archive.unlink()
        raise ValueError(
            f"{archive} is not a complete zip file ({error}); it was deleted, run the command again to fetch it."
        ) from error
    return sorted(member.filename for member in members)


def _is_newer(target: Path, archive: Path) -> bool:
    return target.stat().st_mtime_ns >= archive.stat().st_mtime_ns


def _check_space(file: SourceFile, output: Path) -> None:
    if file.size is None or (output / file.name).is_file():
        return
    free = shutil.disk_usage(output).free
    needed = file.size * (5 if file.unpack else 1)  # JSON packs about one to four
    if free < needed:
        raise ValueError(
            f"{file.name} needs {needed / 1e9:.1f} GB in {output}, where {free / 1e9:.1f} GB are free; make room."
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: `--source NAME --output DIR [--checksums F.json] [--registry F.yaml]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="name of a data set in the registry")
    parser.add_argument("--output", type=Path, required=True, help="folder for the files and manifest.json")
    parser.add_argument("--registry", type=Path, default=TABLE)
    parser.add_argument("--checksums", type=Path, help="JSON of sha256 by URL, in place of the registry's")
    parser.add_argument("--attempts", type=int, default=5)
    parser.add_argument("--pause-seconds", type=float, default=1.0, help="pause after the first failure; doubles")
    parser.add_argument("--timeout-seconds", type=float, default=30.0)
    arguments = parser.parse_args(argv)
    source = load_registry(arguments.registry).source(arguments.source)
    checksums = read_json(arguments.checksums) if arguments.checksums else None
    patience = Patience(arguments.attempts, arguments.pause_seconds, arguments.timeout_seconds)
    files = fetch_source(source, arguments.output, patience, checksums)
    write_json(
        arguments.output / "manifest.json",
        {"source": arguments.source, "licence": source.licence, "citation": source.citation, "files": files},
    )


if __name__ == "__main__":
    run_command(main)
