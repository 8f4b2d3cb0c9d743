"""Run the feature extractor over an image set once and keep what it gives."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from workflow_scripts.command_line import progress, read_json, run_command
from workflow_scripts.data.shards import iterate_shard, list_shards
from workflow_scripts.features.extractor_checksum import extractor_sha256
from workflow_scripts.features.store import FeatureWriter
from workflow_scripts.features.token_store import TokenStores
from workflow_scripts.identity import sha256_of_file

if TYPE_CHECKING:
    from workflow_scripts.models.feature_extractor import FeatureExtractor

log = logging.getLogger(__name__)


def extract_features(
    images: Path | None, tokens: Path | None, feature_extractor: Path, output: Path, batch_size: int, device: str
) -> None:
    """Write the feature store of an image set, from its pictures or from the tokens that a frozen vision encoder gave.

    Shards whose features an interrupted run finished are not computed again.
    """
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    extractor = load_feature_extractor(feature_extractor, device=device)
    source = _Pictures(images, extractor) if images else _Tokens(tokens, extractor)
    definition = {
        "image_set": source.manifest["image_set"],
        "images_sha256": source.images_sha256,
        "extractor_sha256": extractor_sha256(feature_extractor),
        "transform": source.transform,
    }
    writer = FeatureWriter(output, definition)
    todo = [index for index in range(source.shards) if not writer.has_shard(index)]
    if len(todo) < source.shards:
        log.info("%d of %d shards are there already", source.shards - len(todo), source.shards)

    def run(inputs: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        query_output, projection = extractor.extract_images(torch.stack(inputs).to(device))
        return query_output.float().cpu().numpy(), projection.float().cpu().numpy()

    inputs = (item for index in todo for item in source.read(index))
    left = progress(inputs, source.manifest["count"] - writer.count, f"features {source.manifest['image_set']}")
    for index, members in groupby(left, key=itemgetter(0)):
        keys: list[str] = []
        outputs = []
        while batch := list(islice(members, batch_size)):
            keys += [key for _, key, _ in batch]
            outputs.append(run([given for _, _, given in batch]))
        query_output, projection = (np.concatenate(part) for part in zip(*outputs, strict=True))
        writer.write_shard(index, keys, query_output, projection)
    finished = writer.finish()
    log.info("%s: features of %d images", source.manifest["image_set"], finished["count"])


class _Pictures:
    """Pictures of an image set, by shard."""

    def __init__(self, folder: Path, extractor: "FeatureExtractor") -> None:
        self.manifest = read_json(folder / "manifest.json")
        self.images_sha256 = sha256_of_file(folder / "manifest.json")
        self.transform = f"bicubic resize to {extractor.image_size}x{extractor.image_size}, normalised"
        self._paths = list_shards(folder)
        self._extractor = extractor
        self.shards = len(self._paths)

    def read(self, index: int) -> Iterator[tuple[int, str, torch.Tensor]]:
        """Yield (shard, key, transformed picture)."""
        for image_id, image, _ in iterate_shard(self._paths[index]):
            yield index, f"{self.manifest['image_set']}/{image_id}", self._extractor.transform(image)


class _Tokens:
    """Tokens of the pictures of an image set, by shard."""

    def __init__(self, folder: Path, extractor: "FeatureExtractor") -> None:
        self._store = TokenStores.open(folder)
        self.manifest = self._store.manifests[0]
        extractor.check_vision_weights(self._store.encoder_sha256)
        self.images_sha256 = self.manifest["images_sha256"]
        self.transform = f"{self.manifest['transform']}, normalised, encoded once and kept as float16"
        self._starts = np.cumsum([0, *(file["rows"] for file in self.manifest["files"])])
        self.shards = len(self.manifest["files"])

    def read(self, index: int) -> Iterator[tuple[int, str, torch.Tensor]]:
        """Yield (shard, key, tokens)."""
        for row in range(self._starts[index], self._starts[index + 1]):
            yield index, self._store.keys[row], torch.from_numpy(self._store.at(np.array([row]))[0])


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and extract."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, help="folder of an image set (shards/, manifest.json)")
    source.add_argument("--tokens", type=Path, help="folder of its pictures' tokens, by the same vision encoder")
    parser.add_argument("--feature-extractor", type=Path, required=True, help="folder of the LAVIS checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="folder of the feature store")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None, help="cpu or cuda; the GPU is taken where there is one")
    arguments = parser.parse_args(argv)
    if arguments.batch_size < 1:
        raise ValueError(f"--batch-size {arguments.batch_size}: at least 1 image at a time.")
    device = arguments.device
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    extract_features(
        arguments.images,
        arguments.tokens,
        arguments.feature_extractor,
        arguments.output,
        arguments.batch_size,
        device,
    )


if __name__ == "__main__":
    run_command(main)
