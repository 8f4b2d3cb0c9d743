import subprocess

import pytest
import torch
from PIL import Image

from workflow_scripts.config.vision import ClipSettings
from workflow_scripts.config.world import WorldSettings
from workflow_scripts.miniature.corpus import write_vision_corpus
from workflow_scripts.models.clip import load_clip
from workflow_scripts.small_models.train_clip import train_clip
from workflow_scripts.small_models.vision_data import read_vision_corpus

SETTINGS = ClipSettings(
    image_size=48, width=32, vision_layers=1, text_layers=1, heads=2, projection_width=16, batch_size=8, steps=3
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_vision_corpus(folder, WorldSettings(image_size=48, vision_corpus=64, vision_corpus_validation=12))
    return folder


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("clip")
    train_clip(corpus, SETTINGS, output)
    return output


def test_the_folder_loads_with_transformers_and_its_checksums_hold(folder):
    clip = load_clip(folder)
    images = clip.embed_images([Image.new("RGB", (70, 50), colour) for colour in ("red", "blue")])
    texts = clip.embed_texts(["A red kite.", "a blue cat and something else"])
    assert images.shape == texts.shape == (2, 16)
    torch.testing.assert_close(images.norm(dim=-1), torch.ones(2))
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_a_text_has_the_same_embedding_alone_and_beside_a_longer_one(folder):
    clip = load_clip(folder)
    together = clip.embed_texts(["a red kite", "a small blue cat left of a red kite on the beach"])
    torch.testing.assert_close(clip.embed_texts(["a red kite"])[0], together[0], atol=1e-5, rtol=1e-4)


def test_its_processor_gives_the_pixels_that_it_was_trained_on(folder, corpus):
    data = read_vision_corpus(corpus)
    picture = Image.fromarray(data.images[0])
    pixels = load_clip(folder).processor(images=[picture], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels, data.pixels([0]), atol=1e-5, rtol=1e-4)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"config\.json"):
        load_clip(tmp_path)
