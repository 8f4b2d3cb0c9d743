"""Webdataset tar files of pictures with captions, `<key>.jpg`, `<key>.txt`, `<key>.json`, as img2dataset writes them.

The tar files stay packed. One pass over them lists where each picture lies and what its caption is; the list is kept
beside them, since it takes as long as reading the headers of all members. It is written and read in blocks.
"""

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.config.base import Section
from workflow_scripts.data.readers.common import check_tasks
from workflow_scripts.data.records import Reading, Record
from workflow_scripts.files.suffixes import SUFFIXES
from workflow_scripts.files.tar_members import iterate_members, split_name
from workflow_scripts.files.walk import walk_files

INDEX = "index.parquet"
PICTURES = frozenset(suffix.removeprefix(".") for suffix in SUFFIXES)
_LAYOUT = 3  # of the list; the first one parted names at the first dot of their folders, the second knew a key once
BLOCK = 65_536
_SCHEMA = pa.schema(
    [("id", pa.string()), ("tar", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("text", pa.string())]
)


class Options(Section):
    """The format has one form only."""


def index_samples(folder: Path) -> Counter[str]:
    """List the samples of all tar files in the order of their keys, where that is not done; returns what was left out.

    Keys are webdataset's. Samples without picture or caption, keys that their tar file had already, and members that
    are of no sample are counted.

    Raises:
        ValueError: there is no tar file, or one is truncated; it is named.
    """
    folder = Path(folder)
    found = walk_files(folder)
    tars = [path for path in found.files if path.suffix.lower() == ".tar"]
    if not tars:
        raise ValueError(f"{folder} holds no tar file; fetch the data set first.")
    made_of = json.dumps([_LAYOUT, *([path.relative_to(folder).as_posix(), path.stat().st_size] for path in tars)])
    index = folder / INDEX
    if index.is_file():
        metadata = pq.read_metadata(index).metadata or {}
        if metadata.get(b"made_of", b"").decode() == made_of:
            return Counter(json.loads(metadata[b"removed"]))
    removed = Counter({"folder or link that cannot be read": len(found.not_read)})
    temporary = index.with_name(f".{INDEX}.part")
    last, in_order = "", True
    with pq.ParquetWriter(temporary, _SCHEMA) as writer:
        for path in tars:
            rows = _read_tar(path, path.relative_to(folder).as_posix(), removed)
            in_order = in_order and (not rows or last < rows[0]["id"])
            last = rows[-1]["id"] if rows else last
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
        writer.add_key_value_metadata({"made_of": made_of})
        if in_order:
            writer.add_key_value_metadata({"removed": json.dumps(+removed)})
    if not in_order:
        _sort(temporary, {"made_of": made_of}, removed)
    temporary.replace(index)
    return +removed


def _sort(path: Path, metadata: dict[str, str], removed: Counter[str]) -> None:
    """Bring an index into the order of keys, each once. This holds all of it in memory.

    A key counts within its tar file, as in webdataset itself: what another file has under the same key is another
    sample, whose id has the name of its file added.
    """
    table = pq.read_table(path)
    seen: set[str] = set()
    ids = []
    for key, tar in zip(table["id"].to_pylist(), table["tar"].to_pylist(), strict=True):
        ids.append(f"{key}-{tar.removesuffix('.tar').replace('/', '-')}" if key in seen else key)
        seen.add(key)
    table = table.set_column(0, "id", pa.array(ids, pa.string())).sort_by("id")
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({**metadata, "removed": json.dumps(+removed)})


def read_samples(folder: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the listed samples in the order of their keys: id, tar file, offset, size, text (caption)."""
    index_samples(folder)
    with pq.ParquetFile(Path(folder) / INDEX) as file:
        for batch in file.iter_batches(BLOCK, columns=columns):
            yield from batch.to_pylist()


def _read_tar(path: Path, name_of_tar: str, removed: Counter[str]) -> list[dict[str, Any]]:
    """Return the samples of one tar file by key; of several with one key the first counts."""
    places: dict[str, tuple[int, int]] = {}
    texts: dict[str, str] = {}
    keys: set[str] = set()
    pictures, captions = Counter[str](), Counter[str]()
    try:
        with tarfile.open(path, "r:") as tar:
            for name, member in iterate_members(tar):
                if not member.isfile():
                    removed["member that is a link or a device"] += 1
                    continue
                if member.offset_data + member.size > path.stat().st_size:
                    raise tarfile.ReadError(f"{name} is cut off")
                key_and_ending = split_name(name)
                if key_and_ending is None:
                    removed["member without a key"] += 1
                    continue
                key, ending = key_and_ending
                keys.add(key)
                if ending in PICTURES:
                    pictures[key] += 1
                    places.setdefault(key, (member.offset_data, member.size))
                elif ending == "txt":
                    stream = tar.extractfile(member)
                    assert stream is not None, "a plain file has content"
                    captions[key] += 1
                    texts.setdefault(key, stream.read().decode("utf-8", errors="replace"))
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a complete tar file ({error}); delete it and fetch it again.") from error
    rows = []
    removed["duplicate key"] += sum(max(pictures[key], captions[key], 1) - 1 for key in keys)
    for key in sorted(keys):
        if key not in places or key not in texts:
            removed["sample without a caption" if key in places else "sample without a picture"] += 1
            continue
        offset, size = places[key]
        rows.append({"id": key, "tar": name_of_tar, "offset": offset, "size": size, "text": texts[key]})
    return rows


def read(folder: Path, options: Options, tasks: frozenset[str]) -> Reading:
    """Read the captions in the order of their keys, block by block."""
    check_tasks(tasks, "caption")
    removed = index_samples(folder)
    rows = read_samples(folder, ["id", "text"])
    return Reading((Record(row["id"], row["id"], "caption", answers=(row["text"],)) for row in rows), removed, True)


def images(folder: Path, options: Options) -> dict[str, str]:
    """Return by id where the pictures lie in the folder: `file.tar?offset=...&size=...`."""
    return {
        row["id"]: f"{quote(row['tar'])}?offset={row['offset']}&size={row['size']}"
        for row in read_samples(folder, ["id", "tar", "offset", "size"])
    }
