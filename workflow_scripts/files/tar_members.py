"""Members of webdataset's tar files, by the keys that webdataset itself gives them."""

import re
import tarfile
from collections.abc import Iterator

# As webdataset's base_plus_ext: the folders are a part of the key, and the first dot of the name ends it.
_KEY_AND_ENDING = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)")
# As webdataset's iterator over a tar file, which skips what describes the file itself.
_ABOUT_THE_TAR = re.compile(r"__[^/]*__($|/)")


def split_name(name: str) -> tuple[str, str] | None:
    """Key and ending, in small letters, of a member's name; None for a name that has none, and is of no sample."""
    match = _KEY_AND_ENDING.fullmatch(name)
    if match is None or _ABOUT_THE_TAR.match(name):
        return None
    return match[1], match[2].lower()


def iterate_members(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Yield the name and the content's header of all members but folders.

    A hard link, which tar writes for the second name of one file, has the content of the first. A symbolic link, or a
    hard link to nothing, comes with its own header, which is of no file.
    """
    files: dict[str, tarfile.TarInfo] = {}
    for member in tar:
        if member.isdir():
            continue
        if member.isfile():
            files[member.name] = member
        yield member.name, files.get(member.linkname, member) if member.islnk() else member
