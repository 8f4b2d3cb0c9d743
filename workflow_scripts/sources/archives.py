"""Unpack zip and tar files, and let nothing in them write outside of their folder."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO


@dataclass(frozen=True)
class _Member:
    """A file in an archive: its name there, its size, and how to read it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, output: Path) -> list[str]:
    """Unpack a zip or tar file into a folder; returns the relative names, sorted.

    Each file is written under a temporary name first. A name that leads out of the folder, a link in a tar, and a
    damaged archive are ValueErrors; in the last case the archive is deleted, so that it is fetched again.
    """
    kind = "tar" if archive.name.endswith((".tar", ".tar.gz", ".tgz")) else "zip"
    try:
        if kind == "tar":
            with tarfile.open(archive) as content:
                members = [_tar_member(content, info, archive) for info in content if not info.isdir()]
                _write_all(members, archive, output)
        else:
            with zipfile.ZipFile(archive) as zipped:
                members = [_zip_member(zipped, info) for info in zipped.infolist() if not info.is_dir()]
                _write_all(members, archive, output)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        archive.unlink()
        raise ValueError(
            f"{archive} is not a complete {kind} file ({error}); it was deleted, run the command again to fetch it."
        ) from error
    return sorted(member.name for member in members)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    return _Member(info.filename, info.file_size, lambda: archive.open(info))


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> _Member:
    if not info.isfile():
        raise ValueError(f"{path} holds {info.name!r}, which is a link or a device; it is not unpacked.")

    def read() -> IO[bytes]:
        stream = archive.extractfile(info)
        assert stream is not None, "a plain file has content"
        return stream

    return _Member(info.name, info.size, read)


def _write_all(members: Iterable[_Member], archive: Path, output: Path) -> None:
    for member in members:
        name = PurePosixPath(member.name)
        if name.is_absolute() or ".." in name.parts or "\\" in member.name:
            raise ValueError(f"{archive} holds the unsafe path {member.name!r}; it is not unpacked.")
    for member in members:
        target = output / member.name
        if target.is_file() and target.stat().st_size == member.size and _is_newer(target, archive):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        with member.open() as stream, temporary.open("wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        if temporary.stat().st_size != member.size:
            raise EOFError(f"{member.name} is cut off")
        temporary.replace(target)


def _is_newer(target: Path, archive: Path) -> bool:
    return target.stat().st_mtime_ns >= archive.stat().st_mtime_ns
