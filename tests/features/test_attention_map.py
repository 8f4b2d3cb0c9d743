import numpy as np
import pytest
import torch
from PIL import Image
from tiny_feature_extractor import build_tiny_model

from workflow_scripts.features.attention_map import AttentionMap, attention_map
from workflow_scripts.models.blip2 import ConvolutionalStem
from workflow_scripts.models.feature_extractor import FeatureExtractor


@pytest.fixture(scope="module", params=[1, 2], ids=["every layer looks", "every other layer looks"])
def extractor(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    sizes = {"image_size": 64, "qformer_layers": 3, "cross_attention_freq": request.param}
    return FeatureExtractor(build_tiny_model(folder, ["a", "red", "kite"], seed=1, **sizes))


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8))


def test_the_map_is_of_the_query_token_that_search_scores_a_picture_by(extractor, picture):
    found = attention_map(extractor, picture, "a red kite")
    projection = extractor.extract_images(extractor.transform(picture)[None])[1][0]
    scores = projection @ extractor.embed_texts(["a red kite"])[0]
    assert found.query == int(scores.argmax())
    assert found.score == pytest.approx(float(scores.max()), abs=1e-5)
    assert found.weights.shape == (4, 4)
    assert found.weights.sum() == pytest.approx(1)


def test_the_patch_that_alone_is_attended_to_has_all_the_weight(extractor, picture):
    """Keys that answer to one token only: the class token is token 0, so the patch in row 2, column 1 is token 10."""
    for layer in extractor.model.Qformer.bert.encoder.layer:
        if layer.has_cross_attention:
            layer.crossattention.self.register_forward_pre_hook(_attend_to(10), with_kwargs=False)
    weights = attention_map(extractor, picture, "a red kite").weights
    assert np.unravel_index(weights.argmax(), weights.shape) == (2, 1)
    assert weights.max() > 0.99


def _attend_to(token):
    def mask(_module, arguments):
        arguments = list(arguments)
        blocked = torch.full((1, 1, 1, 17), -1e4)
        blocked[..., token] = 0.0
        arguments[4] = blocked  # encoder_attention_mask
        return tuple(arguments)

    return mask


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_description_is_an_error(extractor, picture, text):
    with pytest.raises(ValueError, match="no description"):
        attention_map(extractor, picture, text)


def test_frozen_weights_keep_no_gradient(extractor, picture):
    attention_map(extractor, picture, "a kite")
    assert all(weight.grad is None and not weight.requires_grad for weight in extractor.model.parameters())


def test_a_picture_is_lit_where_the_weights_are_and_keeps_its_size():
    weights = np.zeros((4, 4), dtype=np.float32)
    weights[0, 3] = 1
    lit = np.asarray(AttentionMap(weights, 0.0, 0, 0.5).over(Image.new("RGB", (200, 100), "white")))[..., 0]
    assert lit.shape == (100, 200)
    assert lit[10, 190] == 255  # above, on the right
    assert lit[90, 10] == lit[90, 190] == lit[10, 10] == 64


def test_weights_that_are_equal_everywhere_leave_the_picture_as_it_is():
    lit = AttentionMap(np.full((3, 3), 1 / 9, dtype=np.float32), 0.0, 0, 0.5).over(Image.new("RGB", (30, 30), "red"))
    assert lit.getcolors() == [(900, (255, 0, 0))]


def test_tokens_of_our_stem_see_as_far_from_the_middle_of_their_cells_as_its_convolutions_drift():
    """Output i of a convolution of kernel k, stride 2 and p columns of padding is over column 2 i + (k - 1) / 2 - p."""
    centre, cell = 0.0, 1
    stem = ConvolutionalStem(256, 16, 32)
    strided = [one for one in stem.modules() if isinstance(one, torch.nn.Conv2d) and tuple(one.stride) == (2, 2)]
    for one in reversed(strided):
        centre = 2 * centre + (one.kernel_size[0] - 1) / 2 - one.padding[0]
        cell *= 2
    assert cell == 16
    assert (centre + 0.5) / cell - 0.5 == pytest.approx(-0.5, abs=0.04)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "efficientnet_lite0", "resnet18", "vit_tiny_patch16_224"])
def test_a_map_behind_a_network_of_timm_is_drawn_where_its_tokens_see(name, picture, tmp_path):
    model = build_tiny_model(tmp_path, ["kite"], vit_model=f"timm/{name}", image_size=96)
    found = attention_map(FeatureExtractor(model), picture, "kite")
    side = round(model.visual_encoder.sizes.tokens**0.5)
    assert found.weights.shape == (side, side)
    assert found.shift == {"tf_efficientnet_lite0": 0.5, "vit_tiny_patch16_224": 0.0}.get(name, -0.5)
