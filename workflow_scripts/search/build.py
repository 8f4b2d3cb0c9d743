"""Build a search index over a folder of pictures, or over an image set whose features are there."""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_scripts.command_line import progress, read_json, run_command, write_atomically, write_json
from workflow_scripts.config.search import IndexSettings
from workflow_scripts.features.extractor_checksum import extractor_sha256
from workflow_scripts.search.index import Index
from workflow_scripts.search.pictures import list_pictures, open_picture, thumbnail

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from workflow_scripts.models.feature_extractor import FeatureExtractor


@dataclass
class Entry:
    """One picture on its way into the index; its projection [Q, P] comes from an extractor, a store or an old index."""

    item: dict[str, Any]
    thumbnail: bytes
    projection: np.ndarray | None = None


def build_from_folder(
    folder: Path, extractor: "FeatureExtractor", settings: IndexSettings, old: Index | None
) -> tuple[list[Entry], list[dict[str, str]]]:
    """Entries of all pictures below a folder and the list of those that were skipped.

    A picture that an old index of the same extractor knows, with equal size and time of change, is taken from there.
    """
    known = {item["id"]: (row, item) for row, item in enumerate(old.items)} if old else {}
    entries: list[Entry] = []
    skipped: list[dict[str, str]] = []
    waiting: list[tuple[Entry, torch.Tensor]] = []

    def embed() -> None:
        projections = embed_pictures(extractor, [picture for _, picture in waiting])
        for (entry, _), projection in zip(waiting, projections, strict=True):
            entry.projection = projection
        waiting.clear()

    paths = list(list_pictures(folder))
    for path in progress(paths, total=len(paths), label="pictures"):
        name, status = path.relative_to(folder).as_posix(), path.stat()
        stamp = {"bytes": status.st_size, "changed_ns": status.st_mtime_ns}
        row, item = known.get(name, (0, {}))
        if old and {key: item.get(key) for key in stamp} == stamp:
            entries.append(Entry(item, old.thumbnail(row), np.array(old.projection[row])))
            continue
        try:
            picture = open_picture(path, settings.max_pixels)
        except ValueError as error:
            skipped.append({"file": name, "reason": str(error)})
            continue
        item = {"id": name, "file": name, "width": picture.width, "height": picture.height, **stamp}
        entries.append(Entry(item, thumbnail(picture, settings.thumbnail_size)))
        waiting.append((entries[-1], extractor.transform(picture)))
        if len(waiting) == settings.batch_size:
            embed()
    if waiting:
        embed()
    return entries, skipped


def embed_pictures(extractor: "FeatureExtractor", pixels: Sequence[Any]) -> np.ndarray:
    """Projections [B, Q, P] float16 of transformed pictures, each [3, H, W]."""
    import torch

    with torch.inference_mode():
        _, projection = extractor.extract_images(torch.stack(list(pixels)))
    return projection.float().cpu().numpy().astype(np.float16)


def build_from_image_sets(
    folders: Sequence[Path], stores: Sequence[Path], checksum: str, settings: IndexSettings
) -> tuple[list[Entry], list[dict[str, str]]]:
    """Entries of several image sets, one after the other; ValueError for features of another extractor."""
    if len(folders) != len(stores):
        raise ValueError(f"--images names {len(folders)} image sets and --features {len(stores)} stores; give as many.")
    entries: list[Entry] = []
    skipped: list[dict[str, str]] = []
    for folder, features in zip(folders, stores, strict=True):
        made_by = read_json(features / "manifest.json")["extractor_sha256"]
        if made_by != checksum:
            raise ValueError(
                f"{features} was made by another extractor ({made_by[:12]}) than the one given ({checksum[:12]}); "
                "extract the features again."
            )
        more = build_from_image_set(folder, features, settings)
        entries += more[0]
        skipped += more[1]
    return entries, skipped


def build_from_image_set(
    folder: Path, features: Path, settings: IndexSettings
) -> tuple[list[Entry], list[dict[str, str]]]:
    """Entries of an image set (shards) with the projections of its feature store."""
    from workflow_scripts.data.shards import iterate_images
    from workflow_scripts.features.store import FeatureStores

    store = FeatureStores.open([features])
    name = read_json(folder / "manifest.json")["image_set"]
    known = set(store.keys)
    entries, skipped = [], []

    def pictures() -> Iterator[tuple[str, "Image"]]:
        for image_id, picture, _ in iterate_images(folder):
            yield f"{name}/{image_id}", picture

    for key, picture in progress(pictures(), total=len(known), label=f"pictures of {name}"):
        if key not in known:
            skipped.append({"file": key, "reason": "no features"})
            continue
        item = {"id": key, "file": key, "width": picture.width, "height": picture.height}
        entries.append(Entry(item, thumbnail(picture, settings.thumbnail_size)))
    projections = store.image_projection([entry.item["id"] for entry in entries]).astype(np.float16)
    for entry, projection in zip(entries, projections, strict=True):
        entry.projection = projection
    return entries, skipped


def write_index(output: Path, entries: Sequence[Entry], manifest: dict[str, Any]) -> None:
    """Write the files of an index, `index.json` last; an index that stood there is replaced at that moment."""
    lines, thumbnails, offset = [], [], 0
    for entry in entries:
        place = {"thumbnail_offset": offset, "thumbnail_bytes": len(entry.thumbnail)}
        lines.append(json.dumps(entry.item | place, ensure_ascii=False) + "\n")
        thumbnails.append(entry.thumbnail)
        offset += len(entry.thumbnail)
    stream = BytesIO()
    np.save(stream, np.stack([entry.projection for entry in entries]))
    output.mkdir(parents=True, exist_ok=True)
    (output / "index.json").unlink(missing_ok=True)
    write_atomically(output / "image_projection.npy", stream.getvalue())
    write_atomically(output / "items.jsonl", "".join(lines))
    write_atomically(output / "thumbnails.bin", b"".join(thumbnails))
    write_json(output / "index.json", manifest)


def reusable_index(output: Path, checksum: str, settings: IndexSettings) -> Index | None:
    """The index that stands at `output`, where its extractor and thumbnails are those that are wanted now."""
    if not (output / "index.json").exists():
        return None
    old = Index(output)
    same = old.manifest["extractor_sha256"] == checksum
    return old if same and old.manifest["thumbnail_size"] == settings.thumbnail_size else None


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--images",
        type=Path,
        nargs="+",
        required=True,
        help="any folder of pictures; or, with --features, one or more image sets (shards)",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the index")
    parser.add_argument("--feature-extractor", type=Path, required=True, help="folder of the extractor")
    parser.add_argument("--features", type=Path, nargs="+", help="feature stores of the image sets, in their order")
    parser.add_argument("--settings", type=IndexSettings.model_validate_json, default=IndexSettings())
    arguments = parser.parse_args(argv)

    checksum = extractor_sha256(arguments.feature_extractor)
    if arguments.features:
        entries, skipped = build_from_image_sets(arguments.images, arguments.features, checksum, arguments.settings)
    else:
        if len(arguments.images) > 1:
            raise ValueError("One folder of pictures can be indexed at a time; put several below a common one.")
        folder = arguments.images[0]
        if not any(list_pictures(folder)):
            raise ValueError(f"{folder} holds no picture (JPEG, PNG, WebP, GIF, BMP, TIFF).")
        from workflow_scripts.models.feature_extractor import load_feature_extractor

        old = reusable_index(arguments.output, checksum, arguments.settings)
        extractor = load_feature_extractor(arguments.feature_extractor)
        entries, skipped = build_from_folder(folder, extractor, arguments.settings, old)
    if not entries:
        places = ", ".join(map(str, arguments.images))
        raise ValueError(f"None of the {len(skipped)} pictures of {places} can be read; nothing to index.")
    queries, width = entries[0].projection.shape
    write_index(
        arguments.output,
        entries,
        {
            "count": len(entries),
            "queries": queries,
            "projection_width": width,
            "extractor_sha256": checksum,
            # Relative, so that the results folder can be moved as a whole.
            "feature_extractor": os.path.relpath(arguments.feature_extractor, arguments.output),
            "images": [os.path.relpath(folder, arguments.output) for folder in arguments.images],
            "thumbnail_size": arguments.settings.thumbnail_size,
            "skipped": skipped,
        },
    )
    print(f"{len(entries)} pictures are in the index {arguments.output}, {len(skipped)} were skipped")
    for one in skipped[:20]:
        print(f"  skipped {one['file']}: {one['reason']}")


if __name__ == "__main__":
    run_command(main)
