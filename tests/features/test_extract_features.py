"""The extraction over real tars by a small LAVIS model."""

import io
import json
import tarfile

import numpy as np
import pytest

from workflow_scripts.features.store import FeatureStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def feature_extractor(tmp_path_factory):
    import torch

    from workflow_scripts.config.vision import QformerGeometry
    from workflow_scripts.models.blip2 import SPECIAL_TOKENS, build_blip2_qformer
    from workflow_scripts.models.feature_extractor import save_feature_extractor

    geometry = QformerGeometry(
        image_size=32, vit_width=32, vit_depth=1, vit_heads=2, qformer_width=32, qformer_layers=2, qformer_heads=2,
        qformer_intermediate=32, qformer_dropout=0.0, cross_attention_freq=1, embed_dim=16, max_text_length=8,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("feature_extractor")
    vocabulary = [*SPECIAL_TOKENS, "a", "kite"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    torch.manual_seed(0)
    save_feature_extractor(build_blip2_qformer(geometry, folder / "vocab.txt"), folder, vocabulary)
    return folder


@pytest.fixture
def images(tmp_path):
    """An image set of five pictures in two shards."""
    from PIL import Image

    folder = tmp_path / "images"
    (folder / "shards").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for shard, ids in enumerate((["a", "b", "c"], ["d", "e"])):
        with tarfile.open(folder / "shards" / f"{shard:05d}.tar", "w") as tar:
            for position, image_id in enumerate(ids):
                stream = io.BytesIO()
                Image.fromarray(generator.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(stream, "JPEG")
                key = f"{shard:05d}{position:04d}"
                for ending, content in (("jpg", stream.getvalue()), ("json", json.dumps({"id": image_id}).encode())):
                    entry = tarfile.TarInfo(f"{key}.{ending}")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    manifest = {"image_set": "set", "count": 5, "shards": ["00000", "00001"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def extract(images, feature_extractor, output):
    from workflow_scripts.features.extract_features import main

    main(["--images", str(images), "--feature-extractor", str(feature_extractor), "--output", str(output),
          "--batch-size", "2"])  # fmt: skip
    return FeatureStore.open(output)


def test_features_are_those_of_the_extractor_for_each_picture(images, feature_extractor, tmp_path):
    import torch

    from workflow_scripts.data.shards import iterate_images
    from workflow_scripts.models.feature_extractor import load_feature_extractor

    store = extract(images, feature_extractor, tmp_path / "features")
    assert store.keys == ["set/a", "set/b", "set/c", "set/d", "set/e"]
    extractor = load_feature_extractor(feature_extractor)
    for image_id, image, _ in iterate_images(images):
        output, projection = extractor.extract_images(torch.stack([extractor.transform(image)]))
        np.testing.assert_allclose(store.query_output([f"set/{image_id}"]), output.numpy(), atol=2e-3)
        np.testing.assert_allclose(store.image_projection([f"set/{image_id}"]), projection.numpy(), atol=1e-3)


def test_an_interrupted_extraction_reads_only_the_shards_that_are_missing(images, feature_extractor, tmp_path):
    output = tmp_path / "features"
    first = extract(images, feature_extractor, output).query_output(["set/a", "set/d"])
    (output / "manifest.json").unlink()
    (output / "shards" / "00001.json").unlink()
    (images / "shards" / "00000.tar").write_bytes(b"is not read again")
    np.testing.assert_array_equal(extract(images, feature_extractor, output).query_output(["set/a", "set/d"]), first)
