"""Tokens of a frozen EfficientNet, computed once, and features from them."""

import numpy as np
import pytest
import torch
from image_sets import noise, write_image_set
from safetensors.torch import save_file
from tiny_feature_extractor import write_tiny_extractor

from workflow_scripts.features.store import FeatureStore
from workflow_scripts.features.token_store import TokenStores
from workflow_scripts.models.timm_encoder import PLACE_WIDTH, TimmEncoder, with_places

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("vision") / "efficientnet.pth"
    torch.save(TimmEncoder("timm/tf_efficientnet_lite0", 224).network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """An image set of three pictures in two shards."""
    generator = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("images") / "set"
    return write_image_set(folder, [noise(ids, generator, 60, 90) for ids in ("ab", "c")])


@pytest.fixture(scope="module")
def feature_extractor(tmp_path_factory, weights):
    folder = tmp_path_factory.mktemp("feature_extractor")
    sizes = {"vit_model": "timm/tf_efficientnet_lite0", "image_size": 224}
    return write_tiny_extractor(folder, ["a", "kite"], vision_weights=weights, **sizes)


def encode(images, weights, output, *options):
    from workflow_scripts.features.encode_images import main

    files = ["--images", str(images), "--weights", str(weights), "--output", str(output)]
    # Of options that are given twice the last counts.
    main([*files, "--batch-size", "2", "--vit-model", "timm/tf_efficientnet_lite0", "--image-size", "224", *options])
    return TokenStores.open(output)


def extract(feature_extractor, output, *source):
    from workflow_scripts.features.extract_features import main

    main([*map(str, source), "--feature-extractor", str(feature_extractor), "--output", str(output)])
    return FeatureStore.open(output)


def test_features_from_tokens_are_those_from_pictures(images, weights, feature_extractor, tmp_path):
    tokens = encode(images, weights, tmp_path / "tokens")
    assert tokens.keys == ["set/a", "set/b", "set/c"]
    assert tokens.at(np.array([0])).shape == (1, 49, 1280)
    from_tokens = extract(feature_extractor, tmp_path / "one", "--tokens", tmp_path / "tokens")
    from_pictures = extract(feature_extractor, tmp_path / "two", "--images", images)
    for keys in (["set/a"], ["set/c", "set/b"]):
        np.testing.assert_allclose(
            from_tokens.query_output(keys), from_pictures.query_output(keys), atol=0.02, rtol=0.02
        )


def test_an_interrupted_encoding_reads_only_the_shards_that_are_missing(images, weights, tmp_path):
    whole = encode(images, weights, tmp_path).at(np.arange(3))
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "shard-00001.json").unlink()
    kept = (tmp_path / "tokens-00000.npy").stat().st_mtime_ns
    again = encode(images, weights, tmp_path).at(np.arange(3))
    assert (tmp_path / "tokens-00000.npy").stat().st_mtime_ns == kept
    np.testing.assert_array_equal(whole, again)


def test_tokens_of_another_encoder_are_refused(images, weights, feature_extractor, tmp_path):
    other = tmp_path / "other.pth"
    torch.save(TimmEncoder("timm/tf_efficientnet_lite0", 224).network.state_dict(), other)
    encode(images, other, tmp_path / "tokens")
    with pytest.raises(ValueError, match="another vision encoder"):
        extract(feature_extractor, tmp_path / "features", "--tokens", tmp_path / "tokens")


def test_a_file_that_holds_no_encoder_is_named(images, tmp_path):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"broken\.pth"):
        encode(images, broken, tmp_path / "tokens")


@pytest.mark.parametrize(
    ("name", "shape"), [("resnet18", (1, 9, 512)), ("vit_tiny_patch16_224", (1, 36, 192))], ids=["convolutions", "ViT"]
)
def test_another_encoder_is_a_name_and_its_weights(images, tmp_path, name, shape):
    options = {"vit_model": f"timm/{name}", "image_size": 96}
    weights = tmp_path / "published.safetensors"
    save_file(TimmEncoder(**options).network.state_dict(), weights)
    tokens = encode(images, weights, tmp_path / "tokens", "--vit-model", f"timm/{name}", "--image-size", "96")
    assert tokens.at(np.array([0])).shape == shape
    extractor = write_tiny_extractor(tmp_path / "extractor", ["a", "kite"], vision_weights=weights, **options)
    from_tokens = extract(extractor, tmp_path / "one", "--tokens", tmp_path / "tokens")
    from_pictures = extract(extractor, tmp_path / "two", "--images", images)
    found, expected = (store.query_output(["set/a", "set/c"]) for store in (from_tokens, from_pictures))
    np.testing.assert_allclose(found, expected, atol=0.02, rtol=0.02)


def test_an_encoder_of_lavis_is_not_encoded_ahead(images, weights, tmp_path):
    with pytest.raises(ValueError, match=r"--vit-model eva_clip_g: only the tokens of timm/<name>"):
        encode(images, weights, tmp_path, "--vit-model", "eva_clip_g")


def test_places_have_one_length_and_differ():
    places = with_places(torch.zeros(2, 49, 4))[..., -PLACE_WIDTH:]
    torch.testing.assert_close(places.norm(dim=-1), places[0, 0].norm().expand(2, 49))
    assert torch.cdist(places[0], places[0]).add(torch.eye(49) * 9).min() > 1
