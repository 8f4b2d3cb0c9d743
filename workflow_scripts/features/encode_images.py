"""Run a pretrained, frozen vision encoder over an image set once and keep its tokens."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import numpy as np

from workflow_scripts.command_line import progress, read_json, run_command
from workflow_scripts.config.timm_names import PREFIX, check_timm_name
from workflow_scripts.features.token_store import TokenWriter
from workflow_scripts.identity import sha256_of_file

log = logging.getLogger(__name__)


def encode_images(images: Path, weights: Path, output: Path, batch_size: int, vit_model: str, image_size: int) -> None:
    """Write the token store of an image set; shards that an interrupted run finished are not read again."""
    import torch
    from lavis.processors.blip_processors import BlipImageEvalProcessor

    from workflow_scripts.data.shards import iterate_shard, list_shards
    from workflow_scripts.models.timm_encoder import load_encoder

    manifest = read_json(images / "manifest.json")
    encoder = load_encoder(vit_model, image_size, weights)
    processor = BlipImageEvalProcessor(image_size=image_size)
    definition = {
        "image_set": manifest["image_set"],
        "images_sha256": sha256_of_file(images / "manifest.json"),
        "encoder_sha256": sha256_of_file(weights),
        "encoder": vit_model,
        "transform": f"bicubic resize to {image_size}x{image_size}",
    }
    writer = TokenWriter(output, definition)
    shards = list_shards(images)
    todo = [index for index in range(len(shards)) if not writer.has_shard(index)]
    if len(todo) < len(shards):
        log.info("%d of %d shards are there already", len(shards) - len(todo), len(shards))

    def transformed() -> Iterator[tuple[int, str, "torch.Tensor"]]:
        for index in todo:
            for image_id, image, _ in iterate_shard(shards[index]):
                yield index, f"{manifest['image_set']}/{image_id}", processor(image)

    left = progress(transformed(), manifest["count"] - writer.count, f"encode {manifest['image_set']}")
    for index, members in groupby(left, key=itemgetter(0)):
        keys: list[str] = []
        parts = []
        while batch := list(islice(members, batch_size)):
            keys += [key for _, key, _ in batch]
            with torch.inference_mode():
                parts.append(encoder.tokens(torch.stack([pixels for _, _, pixels in batch])).numpy())
        writer.write_shard(index, keys, np.concatenate(parts))
    log.info("%s: tokens of %d pictures", manifest["image_set"], writer.finish()["count"])


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and encode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of an image set (shards/, manifest.json)")
    parser.add_argument("--weights", type=Path, required=True, help="the encoder's published file")
    parser.add_argument("--output", type=Path, required=True, help="folder of the token store")
    parser.add_argument("--vit-model", required=True, help="the encoder, timm/<name>")
    parser.add_argument("--image-size", type=int, required=True, help="side of the pictures in pixels")
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args(argv)
    if arguments.batch_size < 1:
        raise ValueError(f"--batch-size {arguments.batch_size}: at least 1 picture at a time.")
    if not arguments.vit_model.startswith(PREFIX):
        raise ValueError(f"--vit-model {arguments.vit_model}: only the tokens of {PREFIX}<name> are computed ahead.")
    check_timm_name(arguments.vit_model.removeprefix(PREFIX))
    encode_images(
        arguments.images,
        arguments.weights,
        arguments.output,
        arguments.batch_size,
        arguments.vit_model,
        arguments.image_size,
    )


if __name__ == "__main__":
    run_command(main)
