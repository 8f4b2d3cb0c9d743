"""The extraction over real tars by a small LAVIS model."""

import numpy as np
import pytest
from image_sets import noise, write_image_set
from tiny_feature_extractor import write_tiny_extractor

from workflow_scripts.features.store import FeatureStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def feature_extractor(tmp_path_factory):
    return write_tiny_extractor(tmp_path_factory.mktemp("feature_extractor"), ["a", "kite"])


@pytest.fixture
def images(tmp_path):
    """An image set of five pictures in two shards."""
    generator = np.random.default_rng(0)
    return write_image_set(tmp_path / "images", [noise(ids, generator, 20, 30) for ids in ("abc", "de")])


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
