"""Write the files of a search index."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workflow_scripts.command_line import reserve, write_atomically, write_json
from workflow_scripts.search.candidates import FILE as CANDIDATES
from workflow_scripts.search.candidates import build_candidates, can_compress
from workflow_scripts.search.entries import Entry
from workflow_scripts.search.index import FORMAT

_UNFINISHED = ".unfinished"


def write_index(output: Path, entries: Sequence[Entry], manifest: dict[str, Any], approximate_from: int) -> None:
    """Write an index, `index.json` last; what stood there is replaced at that moment.

    From `approximate_from` pictures on, compressed candidates are written beside the embeddings.
    """
    output.mkdir(parents=True, exist_ok=True)
    lines, offset = [], 0
    for entry in entries:
        place = {"thumbnail_offset": offset, "thumbnail_bytes": len(entry.thumbnail)}
        lines.append(json.dumps(entry.item | place, ensure_ascii=False) + "\n")
        offset += len(entry.thumbnail)
    # The long part goes beside what stands there, which can be searched, and built upon, until it is done.
    new = [_write_projections(output / "image_projection.npy", entries)]
    projection = np.load(new[0], mmap_mode="r")
    if len(entries) >= approximate_from and can_compress(projection.shape[2]):
        new.append(_unfinished(output / CANDIDATES))
        build_candidates(projection).write(new[1])
    (output / "index.json").unlink(missing_ok=True)
    (output / CANDIDATES).unlink(missing_ok=True)
    for path in new:
        path.replace(output / path.name.removeprefix(".").removesuffix(_UNFINISHED))
    write_atomically(output / "items.jsonl", "".join(lines))
    write_atomically(output / "thumbnails.bin", b"".join(entry.thumbnail for entry in entries))
    write_json(output / "index.json", {"format": FORMAT} | manifest)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}{_UNFINISHED}")


def _write_projections(path: Path, entries: Sequence[Entry]) -> Path:
    """Row by row into a new file, since `entries` may be rows of the old one and need not fit into memory twice."""
    temporary = _unfinished(path)
    shape = (len(entries), *entries[0].projection.shape)
    array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
    reserve(temporary)
    for row, entry in enumerate(entries):
        array[row] = entry.projection
    array.flush()
    return temporary
