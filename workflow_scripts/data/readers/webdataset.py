"""Webdataset tar files of pictures with captions, `<key>.jpg`, `<key>.txt`, `<key>.json`, as img2dataset writes them.

The tar files stay packed. One pass over them lists where each picture lies and what its caption is; the list is kept
beside them, since it takes as long as reading the headers of all members.
"""

import json
import tarfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

INDEX = "index.parquet"
PICTURES = ("jpg", "jpeg", "png", "webp")
_SCHEMA = pa.schema(
    [("id", pa.string()), ("tar", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("text", pa.string())]
)


def read_index(folder: Path) -> tuple[pa.Table, Counter[str]]:
    """Return id, tar file, offset, size and caption of every sample, and what was left out.

    The id is the sample's key. Samples without picture or caption, and keys that were there already, are counted.

    Raises:
        ValueError: there is no tar file, or one is truncated; it is named.
    """
    tars = sorted(Path(folder).glob("*.tar"))
    if not tars:
        raise ValueError(f"{folder} holds no tar file; fetch the data set first.")
    made_of = json.dumps([[path.name, path.stat().st_size] for path in tars])
    index = Path(folder) / INDEX
    if index.is_file():
        metadata = pq.read_schema(index).metadata or {}
        if metadata.get(b"made_of", b"").decode() == made_of:
            return pq.read_table(index), Counter(json.loads(metadata[b"removed"]))
    removed: Counter[str] = Counter()
    seen: set[str] = set()
    metadata = {"made_of": made_of}
    temporary = index.with_name(f".{INDEX}.part")
    tables = [_read_tar(path, seen, removed) for path in tars]
    table = pa.concat_tables(tables).sort_by("id")
    metadata["removed"] = json.dumps(removed)
    pq.write_table(table.replace_schema_metadata(metadata), temporary)
    temporary.replace(index)
    return table, removed


def _read_tar(path: Path, seen: set[str], removed: Counter[str]) -> pa.Table:
    places: dict[str, tuple[int, int]] = {}
    texts: dict[str, str] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                key, _, ending = member.name.partition(".")
                if ending in PICTURES:
                    places[key] = (member.offset_data, member.size)
                elif ending == "txt":
                    stream = tar.extractfile(member)
                    assert stream is not None, "a plain file has content"
                    texts[key] = stream.read().decode("utf-8", errors="replace")
                if member.offset_data + member.size > path.stat().st_size:
                    raise tarfile.ReadError(f"{member.name} is cut off")
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a complete tar file ({error}); delete it and fetch it again.") from error
    rows = []
    for key in places.keys() | texts.keys():
        if key not in places or key not in texts:
            removed["sample without a picture" if key in texts else "sample without a caption"] += 1
        elif key in seen:
            removed["duplicate key"] += 1
        else:
            seen.add(key)
            rows.append({"id": key, "tar": path.name, "offset": places[key][0], "size": places[key][1]})
            rows[-1]["text"] = texts[key]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def addresses(folder: Path, name: str) -> dict[str, str]:
    """Return by id where the pictures lie: `archive://NAME/file.tar?offset=...&size=...`."""
    table, _ = read_index(folder)
    columns = [table[column].to_pylist() for column in ("id", "tar", "offset", "size")]
    return {
        key: f"archive://{name}/{tar}?offset={offset}&size={size}"
        for key, tar, offset, size in zip(*columns, strict=True)
    }
