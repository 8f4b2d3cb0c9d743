"""What a build has embedded so far, batch by batch on disk, so that an interrupted one goes on where it was."""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from workflow_scripts.command_line import read_json, write_json
from workflow_scripts.search.entries import Entry

log = logging.getLogger(__name__)


class Journal:
    """Batches of entries in the folder `unfinished` of an index, all made under one definition (extractor, sizes)."""

    def __init__(self, index: Path, definition: Mapping[str, Any]) -> None:
        self._folder = index / "unfinished"
        started = self._folder / "definition.json"
        if started.exists() and read_json(started) != definition:
            self.close()
        write_json(started, definition)
        self._next = 1 + max((int(path.stem) for path in self._folder.glob("*.npz")), default=-1)

    def add(self, entries: Sequence[Entry]) -> None:
        """Keep a batch of embedded pictures."""
        path = self._folder / f"{self._next:06d}.npz"
        temporary = path.with_suffix(".part")
        with open(temporary, "wb") as stream:
            np.savez(
                stream,
                items=np.array([json.dumps(entry.item) for entry in entries]),
                projection=np.stack([entry.projection for entry in entries]),
                thumbnails=np.frombuffer(b"".join(entry.thumbnail for entry in entries), np.uint8),
                ends=np.cumsum([len(entry.thumbnail) for entry in entries]),
            )
        temporary.replace(path)
        self._next += 1

    def entries(self) -> Iterator[Entry]:
        """All entries that were kept; a damaged batch is left out, and embedded again."""
        for path in sorted(self._folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as batch:
                    parts = {name: batch[name] for name in batch.files}
            except (BadZipFile, ValueError, OSError, EOFError):
                log.warning("%s is damaged; its pictures are embedded again", path)
                path.unlink()
                continue
            starts = [0, *parts["ends"][:-1]]
            for item, projection, start, end in zip(
                parts["items"], parts["projection"], starts, parts["ends"], strict=True
            ):
                yield Entry(json.loads(str(item)), parts["thumbnails"][start:end].tobytes(), projection)

    def close(self) -> None:
        """Throw the batches away: the index holds them now, or they are of something else."""
        shutil.rmtree(self._folder, ignore_errors=True)
