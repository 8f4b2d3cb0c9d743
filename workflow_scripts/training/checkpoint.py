"""Checkpoints: written under a temporary name, checksummed, renamed; the last few kept, damaged ones stepped over."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.command_line import read_json, write_json
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.training.process_group import is_lost_connection
from workflow_scripts.training.trust import check_inside

FORMAT = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found intact, and the training's state in it."""

    folder: Path
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run folder; used by one process, whatever their number.

    Args:
        folder: where they lie.
        keep: how many of the last ones stay.
        run: identity of the run; a checkpoint of another run is an error.
    """

    def __init__(self, folder: Path, keep: int, run: str) -> None:
        self.folder = folder
        self.keep = keep
        self.run = run
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob(".*"):
            shutil.rmtree(partial)

    def begin(self, step: int) -> Path:
        """Make the temporary folder of a new checkpoint, if the disk has room for one.

        Raises:
            OSError: that says how much space is missing.
        """
        previous = self._folders()
        needed = _size(previous[-1]) if previous else 0
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(
                f"No space for the checkpoint of step {step} in {self.folder}: it takes {needed:,} bytes, {free:,} are "
                f"free, so {needed - free:,} are missing. {_kept(previous)}"
            )
        partial = self.folder / f".step-{step:09d}"
        partial.mkdir()
        return partial

    def commit(self, partial: Path, state: Mapping[str, Any]) -> Path:
        """Checksum what was written, bring it to the disk, give it its name and remove what is too old."""
        step_name = partial.name.removeprefix(".")
        files = {path.name: sha256_of_file(path) for path in sorted(partial.iterdir())}
        for name in files:
            _to_disk(partial / name)
        write_json(
            partial / "checkpoint.json", {"format": FORMAT, "run": self.run, "files": files, "state": dict(state)}
        )
        _to_disk(partial)
        final = self.folder / step_name
        if final.exists():
            shutil.rmtree(final)
        os.rename(partial, final)
        _to_disk(self.folder)
        for old in self._folders()[: -self.keep]:
            shutil.rmtree(old)
        return final

    @contextmanager
    def guarded(self, partial: Path) -> Iterator[None]:
        """Remove a checkpoint that cannot be written; the ones before stay, and the message says so.

        The loss of another process passes as it is: that is no matter of this disk.
        """
        try:
            yield
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and is_lost_connection(error):
                shutil.rmtree(partial, ignore_errors=True)
                raise
            written = _size(partial) if partial.exists() else 0
            shutil.rmtree(partial, ignore_errors=True)
            previous = self._folders()
            free = shutil.disk_usage(self.folder).free
            needed = _size(previous[-1]) if previous else 0
            missing = f"; about {needed - free:,} bytes are missing" if needed > free else ""
            raise OSError(
                f"The checkpoint {partial.name.removeprefix('.')} could not be written in {self.folder} after "
                f"{written:,} bytes ({error}); {free:,} bytes are free there{missing}. {_kept(previous)}"
            ) from error

    def latest(self) -> Checkpoint | None:
        """Return the last intact checkpoint; damaged ones are set aside as `damaged-...` and reported.

        Raises:
            ValueError: a checkpoint is of another run or of a newer format, or a link to elsewhere.
        """
        for folder in reversed(self._folders()):
            check_inside(folder, self.folder.parent)
            try:
                record = read_json(folder / "checkpoint.json")
                format_version, files = record["format"], record["files"]
            except (ValueError, KeyError) as error:
                self._set_aside(folder, str(error))
                continue
            if format_version > FORMAT:
                raise ValueError(
                    f"{folder} has checkpoint format {format_version}, this code knows {FORMAT} and older; use the "
                    "newer code that wrote it, or move the folder away to train from the beginning."
                )
            if record["run"] != self.run:
                raise ValueError(
                    f"{folder} belongs to another run ({record['run']}, not {self.run}); move it away, it was not "
                    "written here."
                )
            if broken := broken_files(folder, files):
                self._set_aside(folder, f"{', '.join(broken)} missing or not as written")
                continue
            return Checkpoint(folder, record["state"])
        return None

    def _folders(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))

    def _set_aside(self, folder: Path, reason: str) -> None:
        log.warning("checkpoint %s is damaged (%s); the one before it is used", folder, reason)
        target = folder.with_name(f"damaged-{folder.name}")
        if target.exists():
            shutil.rmtree(target)
        os.rename(folder, target)


def broken_files(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return the names of a checkpoint's files that are missing or have another checksum."""
    return [
        name
        for name, digest in files.items()
        if not (folder / name).is_file() or sha256_of_file(folder / name) != digest
    ]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _kept(previous: list[Path]) -> str:
    kept = f"{previous[-1].name} is kept" if previous else "No earlier checkpoint exists"
    return f"{kept}; free some space and run the same command again."


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
