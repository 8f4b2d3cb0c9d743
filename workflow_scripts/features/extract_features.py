"""Run the feature extractor over an image set once and keep what it gives."""

import argparse
import hashlib
import logging
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import numpy as np

from workflow_scripts.command_line import progress, read_json, run_command
from workflow_scripts.features.store import FeatureWriter
from workflow_scripts.identity import sha256_of_file

log = logging.getLogger(__name__)


def extract_features(images: Path, feature_extractor: Path, output: Path, batch_size: int, device: str) -> None:
    """Write the feature store of an image set; tars whose features an interrupted run finished are not read again."""
    import torch

    from workflow_scripts.data.shards import iterate_shard, list_shards
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    manifest = read_json(images / "manifest.json")
    extractor = load_feature_extractor(feature_extractor, device=device)
    definition = {
        "image_set": manifest["image_set"],
        "images_sha256": sha256_of_file(images / "manifest.json"),
        "extractor_sha256": _checksum(feature_extractor),
        "transform": f"bicubic resize to {extractor.image_size}x{extractor.image_size}, normalised",
    }
    writer = FeatureWriter(output, definition)
    shards = list_shards(images)
    todo = [index for index in range(len(shards)) if not writer.has_shard(index)]
    if len(todo) < len(shards):
        log.info("%d of %d shards are there already", len(shards) - len(todo), len(shards))
    done = sum(len(record["keys"]) for record in writer.records.values())

    def transformed() -> Iterator[tuple[int, str, "torch.Tensor"]]:
        for index in todo:
            for image_id, image, _ in iterate_shard(shards[index]):
                yield index, f"{manifest['image_set']}/{image_id}", extractor.transform(image)

    def run(pixels: list["torch.Tensor"]) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            query_output, projection = extractor.extract_images(torch.stack(pixels).to(device))
        return query_output.float().cpu().numpy(), projection.float().cpu().numpy()

    images_left = progress(transformed(), manifest["count"] - done, f"features {manifest['image_set']}")
    for index, members in groupby(images_left, key=itemgetter(0)):
        keys: list[str] = []
        outputs = []
        while batch := list(islice(members, batch_size)):
            keys += [key for _, key, _ in batch]
            outputs.append(run([pixels for _, _, pixels in batch]))
        query_output, projection = (np.concatenate(part) for part in zip(*outputs, strict=True))
        writer.write_shard(index, keys, query_output, projection)
    finished = writer.finish()
    log.info("%s: features of %d images", manifest["image_set"], finished["count"])


def _checksum(feature_extractor: Path) -> str:
    """Return the sha256 of a checkpoint, or of those of its two files where the vision encoder has its own."""
    digests = [sha256_of_file(path) for path in sorted(feature_extractor.glob("*.pth"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and extract."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of an image set (shards/, manifest.json)")
    parser.add_argument("--feature-extractor", type=Path, required=True, help="folder of the LAVIS checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="folder of the feature store")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default=None, help="cpu or cuda; the GPU is taken where there is one")
    arguments = parser.parse_args(argv)
    if arguments.batch_size < 1:
        raise ValueError(f"--batch-size {arguments.batch_size}: at least 1 image at a time.")
    device = arguments.device
    if device is None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    extract_features(arguments.images, arguments.feature_extractor, arguments.output, arguments.batch_size, device)


if __name__ == "__main__":
    run_command(main)
