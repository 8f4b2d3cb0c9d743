import shutil

import pytest
import torch
import torch.distributed as dist
from PIL import Image
from tiny_feature_extractor import write_tiny_extractor

from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.models.blip2 import SPECIAL_TOKENS, build_blip2_qformer
from workflow_scripts.models.feature_extractor import load_feature_extractor

WORDS = ["a", "blue", "cat", "kite", "on", "red", "the"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_extractor(tmp_path_factory.mktemp("feature_extractor"), WORDS, seed=1)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_ten_pictures_give_ten_times_32_query_outputs_and_projections_of_length_one(folder):
    extractor = load_feature_extractor(folder)
    pixels = torch.stack([extractor.transform(Image.new("RGB", (50, 40), (i * 20, 9, 99))) for i in range(10)])
    output, projection = extractor.extract_images(pixels)
    assert output.shape == (10, 32, 32) == (10, extractor.num_queries, extractor.width)
    assert projection.shape == (10, 32, 16)
    assert extractor.projection_width == 16
    torch.testing.assert_close(projection.norm(dim=-1), torch.ones(10, 32))


def test_saving_and_loading_gives_the_same_features(folder, copy):
    pixels = torch.randn(2, 3, 32, 32)
    first = load_feature_extractor(folder).extract_images(pixels)[0]
    assert torch.equal(first, load_feature_extractor(copy).extract_images(pixels)[0])


def test_the_transform_is_lavis_s_own_for_evaluation(folder):
    from lavis.processors.blip_processors import BlipImageEvalProcessor

    image = Image.effect_noise((80, 60), 90).convert("RGB")
    expected = BlipImageEvalProcessor(image_size=32)(image)
    assert torch.equal(load_feature_extractor(folder).transform(image), expected)


def test_a_text_has_the_same_embedding_alone_and_beside_a_longer_one(folder):
    extractor = load_feature_extractor(folder)
    alone = extractor.embed_texts(["red kite"])
    together = extractor.embed_texts(["red kite", "a blue cat on the red kite"])
    torch.testing.assert_close(alone[0], together[0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(alone[0], extractor.embed_texts(["blue cat"])[0], atol=1e-3)
    with pytest.raises(ValueError, match="no text"):
        extractor.embed_texts([])


def test_matching_logits_are_one_a_pair(folder):
    logits = load_feature_extractor(folder).itm_logits(torch.randn(3, 3, 32, 32), ["red kite", "cat", "a"])
    assert logits.shape == (3,)
    assert logits.unique().numel() == 3


def test_lavis_s_own_forward_computes_its_three_losses(folder):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        model = load_feature_extractor(folder).model
        output = model({"image": torch.randn(3, 3, 32, 32), "text_input": ["red kite", "a cat", "blue"]})
    finally:
        dist.destroy_process_group()
    assert output.loss.item() == pytest.approx((output.loss_itc + output.loss_itm + output.loss_lm).item())


def test_a_checkpoint_without_the_vision_encoder_takes_it_from_its_own_file(folder, copy):
    state = torch.load(copy / "blip2_qformer.pth", weights_only=True)["model"]
    prefix = "visual_encoder."
    vision = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    torch.save(
        {"model": {key: value for key, value in state.items() if not key.startswith(prefix)}},
        copy / "blip2_qformer.pth",
    )
    with pytest.raises(ValueError, match="missing"):
        load_feature_extractor(copy)
    torch.save(vision, copy / "vision_encoder.pth")
    pixels = torch.randn(2, 3, 32, 32)
    expected = load_feature_extractor(folder).extract_images(pixels)[0]
    assert torch.equal(load_feature_extractor(copy).extract_images(pixels)[0], expected)


def test_weights_that_do_not_belong_to_the_model_are_refused(copy):
    state = torch.load(copy / "blip2_qformer.pth", weights_only=True)
    state["model"]["t5_proj.weight"] = torch.zeros(2)
    torch.save(state, copy / "blip2_qformer.pth")
    with pytest.raises(ValueError, match="t5_proj"):
        load_feature_extractor(copy)


def test_a_damaged_or_missing_file_is_named(copy):
    (copy / "blip2_qformer.pth").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"blip2_qformer\.pth"):
        load_feature_extractor(copy)
    (copy / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config\.json"):
        load_feature_extractor(copy)


def test_the_full_size_is_lavis_s_with_bert_s_and_eva_s_sizes(tmp_path, monkeypatch):
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, *(f"word{i}" for i in range(30517))]) + "\n")
    geometry = QformerGeometry(vit_model="eva_clip_g", image_size=224)
    # LAVIS reads single values of a linspace, which the meta device, used here to spare 5 GB, does not have.
    linspace = torch.linspace
    monkeypatch.setattr(torch, "linspace", lambda *values: linspace(*values, device="cpu"))
    with torch.device("meta"):
        model = build_blip2_qformer(geometry, tmp_path / "vocab.txt")
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_172_599_998
    assert model.query_tokens.shape == (1, 32, 768)
    assert model.vision_proj.out_features == 256
