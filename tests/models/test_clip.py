import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor

from workflow_scripts.config.vision import ClipSettings
from workflow_scripts.models.clip import load_clip
from workflow_scripts.small_models.train_clip import build_clip, build_tokenizer

SETTINGS = ClipSettings(image_size=32, width=32, vision_layers=1, text_layers=1, heads=2, projection_width=16)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(1)
    tokenizer = build_tokenizer(["a red kite", "a blue cat on the beach"])
    build_clip(SETTINGS, tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    CLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False).save_pretrained(tmp_path)
    return tmp_path


def test_embeddings_have_length_one_and_do_not_depend_on_the_batch(folder):
    clip = load_clip(folder)
    pictures = [Image.effect_noise((40 + i, 50), 80) for i in range(3)]
    together = clip.embed_images(pictures)
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(clip.embed_images(pictures[1:2])[0], together[1], atol=1e-5, rtol=1e-4)
    texts = clip.embed_texts(["a red kite", "a blue cat on the beach"])
    torch.testing.assert_close(clip.embed_texts(["a red kite"])[0], texts[0], atol=1e-5, rtol=1e-4)


def test_an_unknown_word_is_one_token_and_no_error(folder):
    clip = load_clip(folder)
    assert clip.tokenizer("a zebra").input_ids[2] == clip.tokenizer.unk_token_id


def test_a_damaged_model_is_named(folder):
    (folder / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(ValueError, match="cannot be loaded as a CLIP model"):
        load_clip(folder)


def test_no_text_is_refused(folder):
    with pytest.raises(ValueError, match="no text"):
        load_clip(folder).embed_texts([])
