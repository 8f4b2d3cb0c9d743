"""Files and folders that are on this machine already, as a user's own tables are."""

import hashlib
import shutil
from pathlib import Path

from workflow_scripts.sources.transfer import sha256_of

# They are packed from where they are, into shards; a copy of them would be read by nothing.
IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def copy_from_machine(source: Path, target: Path, sha256: str | None) -> str:
    """Copy a file, or a folder without hidden files and images in it; returns its sha256. What is there is kept.

    The checksum of a folder is that over the names and checksums of its files, in the order of the names.

    Raises:
        ValueError: there is no such file, the folder has nothing to copy, or the checksum is another.
    """
    if not source.exists():
        raise ValueError(
            f"{target.name} is to be copied from {source}, which does not exist; correct its `file` in the catalogue, "
            "or put it there."
        )
    files = _files(source)
    if not files:
        raise ValueError(f"The folder {source} holds no file but images; correct its `file` in the catalogue.")
    found = _checksum(files)
    if sha256 is not None and found != sha256:
        raise ValueError(f"{source} has the checksum {found}, but {sha256} in the catalogue; correct one of them.")
    if target.exists() and _checksum(_files(target)) == found:
        return found
    temporary = target.with_name(f".{target.name}.part")
    _remove(temporary)
    for name, path in files.items():
        place = temporary / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    _remove(target)
    temporary.replace(target)
    return found


def bytes_of(path: Path) -> int:
    """Return the size of a file, or of all files in a folder."""
    return sum(file.stat().st_size for file in _files(path).values())


def _files(path: Path) -> dict[str, Path]:
    """The file under an empty name, or the files of a folder by their names in it."""
    if path.is_file():
        return {"": path}
    found = {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}
    return {
        name: file
        for name, file in found.items()
        if file.suffix.lower() not in IMAGES and not any(part.startswith(".") for part in name.split("/"))
    }


def _checksum(files: dict[str, Path]) -> str:
    sums = {name: sha256_of(path) for name, path in files.items()}
    if sums.keys() == {""}:
        return sums[""]
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()).hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
