"""Any network of timm as the frozen vision encoder in front of the Q-Former: its last map as tokens with their places.

What differs between networks is read from timm: how pixels are normalised, how many tokens there are and how wide.
In shapes: B batch, S side of a picture, T tokens, those of a square map by rows, D width of a token without its place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from workflow_scripts.config.timm_names import PREFIX, check_timm_name

PLACE_WIDTH = 32
# All places have the same length, 40, where EfficientNet-lite0's tokens have 7 to 59: so LAVIS's layer norm, which
# comes next, leaves strong tokens stronger than weak ones, and does not make all of them alike.
_PLACE_AMPLITUDE = 10.0
# LAVIS normalises pixels as CLIP does.
_GIVEN_MEAN = (0.48145466, 0.4578275, 0.40821073)
_GIVEN_STD = (0.26862954, 0.26130258, 0.27577711)
# EfficientNet-lite was trained on (pixel - 127) / 128 of 0 to 255, of which timm says (pixel - 127.5) / 127.5.
_OWN_NORMALISATION = {"tf_efficientnet_lite0": ((127 / 255,) * 3, (128 / 255,) * 3)}


@dataclass(frozen=True)
class EncoderSizes:
    """What an encoder gives and takes for one picture.

    T `tokens` of `width` D; `parameters`; `flops`, two for a multiplication and an addition; `token_shift` says how
    far, in tokens to the right and down, a token sees from the middle of its cell.
    """

    tokens: int
    width: int
    parameters: int
    flops: int
    token_shift: float


class TimmEncoder(nn.Module):
    """Pictures as LAVIS's evaluation transform gives them to tokens with 32 channels of places, by any network of timm.

    ValueError for a name that timm has not, or a network whose features are no square map.
    """

    def __init__(self, vit_model: str, image_size: int) -> None:
        super().__init__()
        self.name, self.image_size = vit_model.removeprefix(PREFIX), image_size
        self.sizes = encoder_sizes(vit_model, image_size)
        self.num_features = self.sizes.width + PLACE_WIDTH
        with torch.random.fork_rng(devices=[]):
            self.network = _build(self.name, image_size)
        # What is built after an encoder takes its first weights from the same stream of random numbers, which goes on
        # as behind PyTorch's own initial weights, a number for each weight, however timm has drawn them.
        maps = [module for module in self.network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        torch.rand(sum(weight.numel() for module in maps for weight in module.parameters()))
        configuration = self.network.pretrained_cfg
        own = _OWN_NORMALISATION.get(self.name.partition(".")[0])
        mean, std = map(torch.tensor, own or (configuration["mean"], configuration["std"]))
        self.register_buffer("scale", (torch.tensor(_GIVEN_STD) / std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", ((torch.tensor(_GIVEN_MEAN) - mean) / std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """[B, 3, S, S], or tokens [B, T, D] that `tokens` gave before, -> [B, T, D + 32]."""
        return with_places(pictures if pictures.dim() == 3 else self.tokens(pictures))

    def tokens(self, pictures: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, T, D], without places; a class token, which has none, is left out."""
        return _as_tokens(self.network, self.network.forward_features(pictures * self.scale + self.shift))

    def load_weights(self, path: Path) -> None:
        """Take a file's weights: safetensors or a checkpoint of PyTorch's, under timm's names or in timm's order.

        A transformer's places are resampled where it was trained on pictures of another size. ValueError where the
        weights are not exactly the network's own.
        """
        try:
            state = _named(_read(path), self.network.state_dict())
            with torch.random.fork_rng(devices=[]):
                network = _build(
                    self.name, self.image_size, pretrained=True, pretrained_cfg_overlay={"state_dict": state}
                )
        except Exception as error:  # torch, safetensors and the filters of timm's networks raise many kinds
            raise ValueError(f"{path} does not hold the weights of {self.name} ({_first_line(error)}).") from None
        network.pretrained_cfg.pop("state_dict")  # or it would stay in memory beside the network's own
        self.network = network.train(self.training)


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


def load_encoder(vit_model: str, image_size: int, weights: Path) -> TimmEncoder:
    """The frozen encoder with the weights of a published file; ValueError where these are not exactly its own."""
    encoder = TimmEncoder(vit_model, image_size)
    encoder.load_weights(weights)
    return encoder.eval().requires_grad_(False)


@cache
def encoder_sizes(vit_model: str, image_size: int) -> EncoderSizes:
    """Sizes of an encoder for pictures of a side, found by sending one through without any numbers.

    ValueError for a name that timm has not, or a network whose features are no square map.
    """
    name = vit_model.removeprefix(PREFIX)
    check_timm_name(name)
    steps: dict[int, tuple[int, int, float]] = {}  # side of a map -> kernel, stride and drift of what makes it smaller

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        side, smaller = inputs[0].shape[-1], output.shape[-1]
        kernel, stride, padding = (_last(getattr(module, one)) for one in ("kernel_size", "stride", "padding"))
        # Padding as in TensorFlow is not the module's: what is missing, the smaller half of it on the left.
        left = padding or max(0, (smaller - 1) * stride + kernel - side) // 2
        if smaller < side and kernel > steps.get(side, (0,))[0]:  # a shortcut beside it has the smaller kernel
            steps[side] = (kernel, stride, (kernel - 1) / 2 - left)

    try:
        with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.inference_mode():
            network = _build(name, image_size).eval()
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
                    module.register_forward_hook(note)
            features = network.forward_features(torch.empty(1, 3, image_size, image_size))
            _, tokens, width = _as_tokens(network, features).shape
    except Exception as error:  # each of timm's networks says in its own way what it cannot do
        raise ValueError(
            f"timm's {name} does not give tokens of pictures of {image_size} pixels ({_first_line(error)}); "
            "choose another image_size or another network."
        ) from None
    parameters = sum(weight.numel() for weight in network.parameters())
    shift = _token_shift(list(steps.values()), image_size / tokens**0.5)
    return EncoderSizes(tokens, width, parameters, counter.get_total_flops(), shift)


def _token_shift(steps: list[tuple[int, int, float]], cell: float) -> float:
    """-0.5, 0 or 0.5, by the drift of what makes the map smaller, from the picture on; `cell` pixels are one token.

    Output i of a kernel k of stride s behind p columns of padding is over column s i + (k - 1) / 2 - p. Padded on both
    sides, as PyTorch's networks are, a token is so in the middle of its cell's upper left corner; padded on the right
    and below only, as TensorFlow's, of its lower right one. Patches side by side do not drift.
    """
    centre, size = 0.0, 1
    for _, stride, drift in reversed(steps):
        centre, size = stride * centre + drift, size * stride
    if size != cell:  # something else made the map smaller, too
        return 0.0
    return round(2 * ((centre + 0.5) / size - 0.5)) / 2


def _build(name: str, image_size: int, **options: Any) -> nn.Module:
    """timm's network; one that has a place for each patch, as transformers have, for pictures of this size."""
    if timm.get_pretrained_cfg(name).fixed_input_size:
        options["img_size"] = image_size
    return timm.create_model(name, **options)


def _as_tokens(network: nn.Module, features: Tensor) -> Tensor:
    """What a network's `forward_features` gives, [B, D, R, C], [B, R, C, D] or [B, T, D], -> [B, T, D]."""
    if features.dim() == 4:
        channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
        tokens = features.flatten(1, 2) if channels_last else features.flatten(2).transpose(1, 2)
    else:
        tokens = features[:, getattr(network, "num_prefix_tokens", 0) :]
    if tokens.dim() != 3 or round(tokens.shape[1] ** 0.5) ** 2 != tokens.shape[1]:
        raise ValueError(f"its features {tuple(features.shape)} are no square map")
    return tokens


def _named(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of a network's own, where they have others but the same shapes in the same order."""
    same = [value.shape for value in state.values()] == [value.shape for value in own.values()]
    if same and not state.keys() & own.keys():
        return dict(zip(own, state.values(), strict=True))
    return dict(state)


def _read(path: Path) -> dict[str, Tensor]:
    """The weights in a file, whatever its name: a feature extractor's folder keeps it as vision_encoder.pth."""
    with open(path, "rb") as file:
        start = file.read(2)
    if start == b"PK" or start[:1] == b"\x80":  # torch's archives, and its older pickles
        return torch.load(path, map_location="cpu", weights_only=True)
    return load_file(path)


def _last(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[-1]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
