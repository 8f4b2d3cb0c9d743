"""Find the pictures of an index that fit a description best, or are most like a picture, or both."""

import argparse
import contextlib
import io
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.command_line import run_command, write_atomically
from workflow_scripts.features.extractor_checksum import extractor_sha256
from workflow_scripts.files.images import ImageError, open_image
from workflow_scripts.files.stored_paths import find_stored, not_there
from workflow_scripts.search.index import Index, newest_index
from workflow_scripts.search.queries import Query, both, of_picture, of_text
from workflow_scripts.search.render import sheet_html, sheet_png
from workflow_scripts.search.text_encoder import TextEncoder, load_text_encoder

if TYPE_CHECKING:
    from PIL.Image import Image

    from workflow_scripts.models.feature_extractor import FeatureExtractor

_MAX_PIXELS = 100_000_000  # a larger picture is not decoded


def load_extractor_of(index: Index, folder: Path | None = None) -> "FeatureExtractor":
    """The extractor that the pictures of an index went through; any other one is an error."""
    stored = index.manifest["feature_extractor"]
    if folder is None:
        folder = find_stored(stored, index.folder)
        if folder is None:
            raise not_there("The extractor", [stored], index.folder, "name its folder with --feature-extractor")
    elif not folder.is_dir():
        raise ValueError(f"--feature-extractor: there is no folder {folder}.")
    checksum, built_with = extractor_sha256(folder), index.manifest["extractor_sha256"]
    if checksum != built_with:
        raise ValueError(
            f"{index.folder} was built with another extractor ({built_with[:12]}) than {folder} ({checksum[:12]}); "
            "their scores cannot be compared. Build the index again."
        )
    # What it imports warns of itself on both streams, and DeepSpeed's logger keeps the standard output that it finds;
    # a search should print its results and nothing else.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from workflow_scripts.models.feature_extractor import load_feature_extractor

        return load_feature_extractor(folder)


def clean_query(text: str) -> str:
    """A query without surplus spaces; an empty one is an error."""
    text = " ".join(text.split())
    if not text:
        raise ValueError('The query is empty; describe what to look for, e.g. "a red kite left of a tree".')
    return text


def text_encoder_of(index: Index) -> TextEncoder:
    """What embeds the texts that are looked for in an index; it lies in the index, so that no extractor is loaded."""
    return load_text_encoder(index.folder)


def query_of_picture(extractor: "FeatureExtractor", picture: "Image") -> Query:
    """The query of a picture [W, H] that goes through the extractor of the index."""
    _, projection = extractor.extract_images(extractor.transform(picture).unsqueeze(0))
    return of_picture(projection[0].cpu().numpy())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("query", nargs="?", help='what to look for, e.g. "a red kite left of a tree"')
    parser.add_argument("--image", type=Path, help="a picture to find similar ones of, alone or beside a text")
    parser.add_argument("--top", type=int, default=15, help="how many pictures (15)")
    parser.add_argument("--index", type=Path, help="folder of the index; by default the newest one under results/")
    parser.add_argument("--feature-extractor", type=Path, help="where the index's extractor is, if it was moved")
    parser.add_argument(
        "--images", type=Path, nargs="+", help="where the index's pictures are, if they were moved (for --rerank)"
    )
    parser.add_argument("--exact", action="store_true", help="score every picture, also where candidates are there")
    parser.add_argument("--rerank", action="store_true", help="let BLIP-2's matching head order the result of a text")
    parser.add_argument("--sheet", type=Path, help="write the pictures to this .html or .png file")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args(argv)
    if arguments.query is None and arguments.image is None:
        raise ValueError("There is nothing to look for; give a text, --image, or both.")
    text = clean_query(arguments.query) if arguments.query is not None else ""
    if arguments.top < 1:
        raise ValueError(f"--top {arguments.top} finds nothing; give 1 or more.")
    if arguments.sheet and arguments.sheet.suffix.lower() not in (".html", ".png"):
        raise ValueError(f"--sheet {arguments.sheet} must end in .html or .png.")
    if arguments.rerank and not text:
        raise ValueError("--rerank compares pictures with a text; give one.")

    index = Index(arguments.index or newest_index(Path("results")))
    extractor = None
    if arguments.image or arguments.rerank or arguments.feature_extractor:
        extractor = load_extractor_of(index, arguments.feature_extractor)
    parts = [of_text(text_encoder_of(index).embed_texts([text])[0])] if text else []
    if arguments.image:
        try:
            opened = open_image(arguments.image, _MAX_PIXELS)
        except ImageError as error:
            raise ValueError(f"--image {arguments.image} cannot be used: {error}.") from error
        if opened.trouble:
            print(f"{arguments.image} is read without its metadata ({opened.trouble})", file=sys.stderr)
        parts.append(query_of_picture(extractor, opened.image))
    hits = index.search_for(both(*parts) if len(parts) == 2 else parts[0], arguments.top, arguments.exact)
    if arguments.rerank:
        from workflow_scripts.search.originals import Originals
        from workflow_scripts.search.rerank import rerank

        hits = rerank(extractor, Originals(index, _MAX_PIXELS, arguments.images), text, hits)
    name = " + ".join(([f"“{text}”"] if text else []) + ([arguments.image.name] if arguments.image else []))
    if arguments.sheet:
        png = arguments.sheet.suffix.lower() == ".png"
        write_atomically(arguments.sheet, (sheet_png if png else sheet_html)(name, hits, index))
    if arguments.json:
        rows = [{"rank": hit.rank, "score": round(hit.score, 6), **index.items[hit.row]} for hit in hits]
        for row in rows:
            del row["thumbnail_offset"], row["thumbnail_bytes"]
        asked = {"query": text or None, "image": str(arguments.image) if arguments.image else None}
        print(json.dumps(asked | {"index": str(index.folder), "hits": rows}, indent=1, ensure_ascii=False))
    else:
        print(f"{name} in {index.folder} ({len(index)} pictures)")
        for hit in hits:
            print(f"{hit.rank:4d}  {hit.score:7.4f}  {hit.id}")


if __name__ == "__main__":
    run_command(main)
