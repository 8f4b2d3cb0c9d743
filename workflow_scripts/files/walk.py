"""The files below a folder: links are followed, and what cannot be read is listed instead of ending the walk."""

import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.files.suffixes import OTHER_SUFFIXES, SUFFIXES

_LEFT_BY_MACOS = "__MACOSX"


@dataclass
class Found:
    """What a walk met below `folder`."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    not_read: list[tuple[Path, str]] = field(default_factory=list)  # folders, links and devices, with the reason
    hidden: int = 0

    def name(self, path: Path) -> str:
        """A path below the folder, as text."""
        return path.relative_to(self.folder).as_posix()


@dataclass
class FoundImages:
    """The images below a folder, sorted by path, and what else is there."""

    images: list[Path]
    not_read: list[dict[str, str]]  # file and reason: images of formats that are not read, folders, broken links
    others: Counter[str]  # files that are no images by their names, by suffix

    def others_text(self) -> str:
        """The other files in a few words."""
        return ", ".join(f"{count} {suffix}" for suffix, count in self.others.most_common())


def walk_files(folder: Path, hidden: bool = False) -> Found:
    """All files below a folder, sorted by path, through links too; each folder is read once, however links lead to it.

    Args:
        hidden: also those whose names begin with a dot, and what macOS adds to archives.

    Raises:
        ValueError: it is no folder, or cannot be listed.
    """
    found = Found(Path(folder))
    _check_folder(found.folder)
    seen: set[tuple[int, int]] = set()
    waiting, links = [found.folder], list[Path]()
    while waiting or links:
        # Folders come before links, so that each is found under its own name if it has one here.
        linked = not waiting
        place = links.pop(0) if linked else waiting.pop()
        try:
            status = place.stat()
            if status.st_ino and (status.st_dev, status.st_ino) in seen:
                continue
            with os.scandir(place) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if place == found.folder:
                raise ValueError(f"{folder} cannot be listed ({error.strerror}); see to its permissions.") from error
            found.not_read.append((place, f"a folder that cannot be listed ({error.strerror})"))
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            if not hidden and (entry.name.startswith(".") or entry.name == _LEFT_BY_MACOS):
                found.hidden += 1
                continue
            _sort_in(entry, Path(place, entry.name), found, waiting, links)
    found.files.sort()
    found.not_read.sort()
    return found


def walk_images(folder: Path) -> FoundImages:
    """The images below a folder by their suffixes, hidden ones left out, with all that is not among them."""
    found = walk_files(folder)
    images, others = [], Counter[str]()
    not_read = [{"file": _text(found.name(path)), "reason": reason} for path, reason in found.not_read]
    for path in found.files:
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            images.append(path)
        elif suffix in OTHER_SUFFIXES:
            not_read.append({"file": _text(found.name(path)), "reason": f"{suffix} is not read; export it as JPEG"})
        else:
            others[_text(suffix) or "without a suffix"] += 1
    if found.hidden:
        others["hidden"] += found.hidden
    return FoundImages(images, not_read, others)


def find_by_name(folder: Path, names: Iterable[str]) -> tuple[Path | None, Found]:
    """The first file, by path, of the first of several names that is found, and the walk."""
    found = walk_files(folder, hidden=True)
    for name in names:
        parts = Path(name).parts
        for path in found.files:
            if path.parts[-len(parts) :] == parts and _LEFT_BY_MACOS not in path.parts:
                return path, found
    return None, found


def find_all(folder: Path, pattern: str) -> list[Path]:
    """The files below a folder whose names fit a pattern, sorted by path; none where there is no such folder."""
    return [path for path in walk_files(folder).files if path.match(pattern)] if Path(folder).is_dir() else []


def _check_folder(folder: Path) -> None:
    if folder.is_symlink() and not folder.exists():
        raise ValueError(f"{folder} is a link to {os.readlink(folder)}, which is not there; is its disk mounted?")
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give one that exists.")


def _sort_in(entry: "os.DirEntry[str]", path: Path, found: Found, waiting: list[Path], links: list[Path]) -> None:
    try:
        linked = entry.is_symlink()
        if not linked and entry.is_dir(follow_symlinks=False):
            waiting.append(path)
        elif not linked and entry.is_file(follow_symlinks=False):
            found.files.append(path)
        else:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                links.append(path)
            elif stat.S_ISREG(mode):
                found.files.append(path)
            else:
                found.not_read.append((path, "neither a file nor a folder"))
    except OSError as error:
        reason = f"a link to {os.readlink(path)}, which cannot be followed" if path.is_symlink() else "cannot be read"
        found.not_read.append((path, f"{reason} ({error.strerror})"))


def _text(name: str) -> str:
    """A name that can be printed and stored, with marks for what is no text in it."""
    return name.encode(errors="replace").decode()
