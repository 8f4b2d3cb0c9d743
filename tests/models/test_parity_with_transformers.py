"""LAVIS's BLIP-2 and the one in transformers, with the same weights, give the same features."""

import re

import pytest
import torch

from workflow_scripts.config.vision import QformerGeometry

GEOMETRY = QformerGeometry(
    image_size=64,
    vit_patch_size=16,
    vit_width=48,
    vit_depth=3,
    vit_heads=4,
    vit_stem="patch",
    num_query_token=8,
    qformer_width=36,
    qformer_layers=4,
    qformer_heads=3,
    qformer_intermediate=72,
    cross_attention_freq=2,
    embed_dim=16,
)
_RENAMED = (
    (r"^visual_encoder\.cls_token", "vision.embeddings.class_embedding"),
    (r"^visual_encoder\.pos_embed", "vision.embeddings.position_embedding"),
    (r"^visual_encoder\.patch_embed\.proj", "vision.embeddings.patch_embedding"),
    (r"^ln_vision", "vision.post_layernorm"),
    (r"^visual_encoder\.blocks\.(\d+)\.norm(\d)", r"vision.encoder.layers.\1.layer_norm\2"),
    (r"^visual_encoder\.blocks\.(\d+)\.attn\.proj", r"vision.encoder.layers.\1.self_attn.projection"),
    (r"^visual_encoder\.blocks\.(\d+)\.attn", r"vision.encoder.layers.\1.self_attn"),
    (r"^visual_encoder\.blocks\.(\d+)\.mlp", r"vision.encoder.layers.\1.mlp"),
    (r"^Qformer\.bert\.embeddings\.LayerNorm", "qformer.layernorm"),
    (r"^Qformer\.bert\.encoder", "qformer.encoder"),
    (r"attention\.self", "attention.attention"),
)
# The Q-Former's text side and the heads, which features of pictures have no part in.
_OF_TEXTS = re.compile(
    r"Qformer\.(cls|bert\.(embeddings\.(word|position)|pooler))|\.intermediate\.|\.output\.(dense|LayerNorm)"
)
_QUERY_SIDE = re.compile(r"(attention|crossattention)\.output\.|_query\.")


def renamed(state):
    """LAVIS's weights under the names that transformers has for them."""
    found = {}
    for name, value in state.items():
        if _OF_TEXTS.search(name) and not _QUERY_SIDE.search(name):
            continue
        if name.startswith(("query_tokens", "vision_proj", "text_proj", "itm_head", "temp")):
            continue
        for pattern, new in _RENAMED:
            name = re.sub(pattern, new, name)
        found[name] = value
    for name in [name for name in found if name.endswith("self_attn.q_bias")]:
        start = name.removesuffix("q_bias")
        q_bias, v_bias = found.pop(name), found.pop(f"{start}v_bias")
        found[f"{start}qkv.bias"] = torch.cat([q_bias, torch.zeros_like(q_bias), v_bias])
    return found


@pytest.fixture(scope="module")
def lavis_model(tmp_path_factory):
    from workflow_scripts.models.blip2 import SPECIAL_TOKENS, OfflineBlip2Qformer

    vocabulary = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    vocabulary.write_text("\n".join([*SPECIAL_TOKENS, "dog", "kite"]) + "\n")
    torch.manual_seed(0)
    model = OfflineBlip2Qformer(GEOMETRY, vocabulary).eval().requires_grad_(False)
    for parameter in model.parameters():  # no weight may be 0 or 1, as layer norms and biases are at the beginning
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def transformers_features(lavis_model, pixels):
    """Query output [B, Q, D] of transformers' vision model and Q-Former with LAVIS's weights."""
    from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionConfig, Blip2VisionModel

    vision = Blip2VisionModel(
        Blip2VisionConfig(
            hidden_size=GEOMETRY.vit_width,
            intermediate_size=4 * GEOMETRY.vit_width,
            num_hidden_layers=GEOMETRY.vit_depth,
            num_attention_heads=GEOMETRY.vit_heads,
            image_size=GEOMETRY.image_size,
            patch_size=GEOMETRY.vit_patch_size,
        )
    ).eval()
    vision.post_layernorm.eps = lavis_model.ln_vision.eps
    qformer = Blip2QFormerModel(
        Blip2QFormerConfig(
            hidden_size=GEOMETRY.qformer_width,
            num_hidden_layers=GEOMETRY.qformer_layers,
            num_attention_heads=GEOMETRY.qformer_heads,
            intermediate_size=GEOMETRY.qformer_intermediate,
            cross_attention_frequency=GEOMETRY.cross_attention_freq,
            encoder_hidden_size=GEOMETRY.vit_width,
        )
    ).eval()
    both = torch.nn.ModuleDict({"vision": vision, "qformer": qformer})
    keys = both.load_state_dict(renamed(lavis_model.state_dict()), strict=False)
    assert not [key for key in keys.missing_keys if "position_ids" not in key]
    assert not [key for key in keys.unexpected_keys if "position_ids" not in key]
    with torch.no_grad():
        image_embeds = vision(pixel_values=pixels).last_hidden_state
        queries = lavis_model.query_tokens.expand(len(pixels), -1, -1)
        return qformer(query_embeds=queries, encoder_hidden_states=image_embeds).last_hidden_state


def test_the_same_weights_give_the_same_features(lavis_model):
    from workflow_scripts.models.feature_extractor import FeatureExtractor

    pixels = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    ours, _ = FeatureExtractor(lavis_model).extract_images(pixels)
    theirs = transformers_features(lavis_model, pixels)
    assert ours.shape == theirs.shape == (3, 8, 36)
    assert ours.std() > 0.1
    assert not torch.allclose(ours[0], ours[1], atol=1e-2), "pictures tell apart"
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    print(f"largest difference {float((ours - theirs).abs().max()):.1e}")
