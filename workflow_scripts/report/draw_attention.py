"""Draw where the Q-Former looks in a few pictures for their captions, for the report."""

import argparse
import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.command_line import run_command, write_json
from workflow_scripts.evaluation.pictures import read_pictures
from workflow_scripts.search.pictures import thumbnail
from workflow_scripts.search.render import data_url
from workflow_scripts.search.sheet import draw_captions

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 256


def enlarge(picture: "Image") -> "Image":
    """The picture with its longest side of 256 pixels, so that light falls off smoothly in small ones too."""
    from PIL import Image

    scale = SIZE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, required=True, help="questions.parquet of a retrieval benchmark")
    parser.add_argument("--images", type=Path, required=True, help="its image set")
    parser.add_argument("--feature-extractor", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1, help="of the lot that draws the captions")
    parser.add_argument("--output", type=Path, required=True, help="attention.json to write")
    arguments = parser.parse_args(argv)
    drawn = draw_captions(arguments.questions, arguments.count, arguments.seed)
    pictures = dict(read_pictures({image for _, image in drawn if image}, [arguments.images]))
    with contextlib.redirect_stdout(io.StringIO()):  # what LAVIS imports prints on it
        from workflow_scripts.features.attention_map import attention_map
        from workflow_scripts.models.feature_extractor import load_feature_extractor

        extractor = load_feature_extractor(arguments.feature_extractor)
    shown = []
    for caption, image in drawn:
        found = attention_map(extractor, pictures[image], caption)
        picture = enlarge(pictures[image])
        content = {"query": caption, "image": image, "query_token": found.query, "score": found.score}
        content["picture"] = data_url(thumbnail(picture, SIZE))
        content["attention"] = data_url(thumbnail(found.over(picture), SIZE))
        shown.append(content)
    write_json(arguments.output, shown)
    print(f"{len(shown)} maps of attention in {arguments.output}")


if __name__ == "__main__":
    run_command(main)
