"""Build a search index over a folder of pictures, or over an image set whose features are there."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_scripts.command_line import progress, read_json, run_command
from workflow_scripts.config.search import IndexSettings
from workflow_scripts.features.extractor_checksum import extractor_sha256
from workflow_scripts.files.images import COMMON_TEXT, ImageError, open_image
from workflow_scripts.files.stored_paths import stored_path
from workflow_scripts.files.walk import FoundImages, walk_images
from workflow_scripts.search.entries import Entry
from workflow_scripts.search.export_text_encoder import export_text_encoder
from workflow_scripts.search.index import FORMAT, Index
from workflow_scripts.search.journal import Journal
from workflow_scripts.search.pictures import thumbnail
from workflow_scripts.search.write_index import write_index

_TOLD = 20  # files of a kind that are named; the index has them all

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from workflow_scripts.models.feature_extractor import FeatureExtractor


def build_from_folder(
    folder: Path,
    extractor: "FeatureExtractor",
    settings: IndexSettings,
    known: Iterable[Entry] = (),
    journal: Journal | None = None,
    found: FoundImages | None = None,
) -> tuple[list[Entry], list[dict[str, str]]]:
    """Entries of all pictures below a folder, which may have been walked before, and what was skipped, with its reason.

    A picture that is among the known entries, which are of the same extractor, with equal size and time of change, is
    taken from there; new ones are kept in the journal as they are embedded.
    """
    before = {entry.item["id"]: entry for entry in known}
    entries: list[Entry] = []
    found = found or walk_images(folder)
    skipped = list(found.not_read)
    waiting: list[tuple[Entry, torch.Tensor]] = []

    def embed() -> None:
        projections = embed_pictures(extractor, [picture for _, picture in waiting])
        for (entry, _), projection in zip(waiting, projections, strict=True):
            entry.projection = projection
        if journal:
            journal.add([entry for entry, _ in waiting])
        waiting.clear()

    for path in progress(found.images, total=len(found.images), label="pictures"):
        name = path.relative_to(folder).as_posix()
        readable = name.encode(errors="replace").decode()
        if readable != name:
            skipped.append({"file": readable, "reason": "its name is no text in UTF-8"})
            continue
        try:
            status = path.stat()
        except FileNotFoundError as error:  # deleted since the folder was listed
            skipped.append({"file": name, "reason": f"not there any more ({error.strerror})"})
            continue
        except OSError as error:
            skipped.append({"file": name, "reason": f"cannot be read ({error.strerror})"})
            continue
        stamp = {"bytes": status.st_size, "changed_ns": status.st_mtime_ns}
        if name in before and stamp.items() <= before[name].item.items():
            entries.append(before[name])
            continue
        try:
            opened = open_image(path, settings.max_pixels)
        except ImageError as error:
            skipped.append({"file": name, "reason": str(error)})
            continue
        picture = opened.image
        item = {"id": name, "file": name, "width": picture.width, "height": picture.height, **stamp}
        if opened.trouble:
            item["metadata"] = opened.trouble
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


def entries_of(output: Path, checksum: str, settings: IndexSettings) -> Iterator[Entry]:
    """The entries of the index that stands at `output`, where its format, extractor and thumbnails are those wanted."""
    manifest = output / "index.json"
    if not manifest.exists() or read_json(manifest).get("format") != FORMAT:
        return
    old = Index(output)
    if old.manifest["extractor_sha256"] == checksum and old.manifest["thumbnail_size"] == settings.thumbnail_size:
        for row, item in enumerate(old.items):
            yield Entry(item, old.thumbnail(row), old.projection[row])


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
    journal, others = None, ""
    if arguments.features:
        entries, skipped = build_from_image_sets(arguments.images, arguments.features, checksum, arguments.settings)
    else:
        if len(arguments.images) > 1:
            raise ValueError("One folder of pictures can be indexed at a time; put several below a common one.")
        folder = arguments.images[0]
        found = walk_images(folder)
        others = found.others_text()
        if not found.images:
            raise ValueError(_nothing_in(folder, found))
        from workflow_scripts.models.feature_extractor import load_feature_extractor

        definition = {"extractor_sha256": checksum, "thumbnail_size": arguments.settings.thumbnail_size}
        journal = Journal(arguments.output, definition)
        known = [*entries_of(arguments.output, checksum, arguments.settings), *journal.entries()]
        extractor = load_feature_extractor(arguments.feature_extractor)
        entries, skipped = build_from_folder(folder, extractor, arguments.settings, known, journal, found)
    if not entries:
        places = ", ".join(map(str, arguments.images))
        named = "; ".join(f"{one['file']}: {one['reason']}" for one in skipped[:5])
        raise ValueError(
            f"None of the {len(skipped)} pictures of {places} can be read; nothing to index. The first: {named}."
        )
    without_metadata = [
        {"file": entry.item["file"], "reason": entry.item["metadata"]} for entry in entries if "metadata" in entry.item
    ]
    queries, width = entries[0].projection.shape
    export_text_encoder(arguments.feature_extractor, arguments.output)
    write_index(
        arguments.output,
        entries,
        {
            "count": len(entries),
            "queries": queries,
            "projection_width": width,
            "extractor_sha256": checksum,
            # Relative, so that the results folder can be moved as a whole.
            "feature_extractor": stored_path(arguments.feature_extractor, arguments.output),
            "images": [stored_path(folder, arguments.output) for folder in arguments.images],
            "thumbnail_size": arguments.settings.thumbnail_size,
            "skipped": skipped,
            **({"without_metadata": without_metadata} if without_metadata else {}),
        },
        arguments.settings.approximate_from,
    )
    if journal:
        journal.close()
    print(f"{len(entries)} pictures are in the index {arguments.output}, {len(skipped)} were skipped")
    _tell("skipped", skipped, arguments.output)
    if without_metadata:
        count = len(without_metadata)
        print(f"{count} {'was' if count == 1 else 'were'} read without metadata, which cannot be read")
        _tell("without metadata", without_metadata, arguments.output)
    if others:
        print(f"other files in the folder, which are no pictures by their names: {others}")


def _tell(what: str, files: Sequence[dict[str, str]], output: Path) -> None:
    """Name files with their reasons, the first of many."""
    for one in files[:_TOLD]:
        print(f"  {what} {one['file']}: {one['reason']}")
    if len(files) > _TOLD:
        print(f"  and {len(files) - _TOLD} more, which {output / 'index.json'} names")


def _nothing_in(folder: Path, found: FoundImages) -> str:
    """The sentence about a folder without a picture that can be read, with what is there."""
    there = [f"{one['file']} ({one['reason']})" for one in found.not_read[:5]]
    there += [found.others_text()] if found.others else []
    return f"{folder} holds no picture ({COMMON_TEXT}){'; there is ' if there else ''}{', '.join(there)}."


if __name__ == "__main__":
    run_command(main)
