"""The adaptor between the feature extractor and the language model: the only part of the system that is trained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from workflow_scripts.command_line import write_atomically

KINDS = ("linear", "mlp")
# What may be trained beside the adaptor lies in its file too, under these prefixes.
_Q_FORMER, _LOW_RANK = "q_former.", "low_rank."


class LinearAdaptor(nn.Module):
    """One affine map per query token, [B, Q, D] -> [B, Q, W] (B batch, Q queries, D feature width, W model width)."""

    kind = "linear"

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.projection = nn.Linear(in_features, out_features)

    @property
    def first_layer(self) -> nn.Linear:
        """The layer that reads the features."""
        return self.projection

    @property
    def last_layer(self) -> nn.Linear:
        """The layer that writes the soft tokens."""
        return self.projection

    def forward(self, query_output: Tensor) -> Tensor:
        """Map query output [B, Q, D] to soft tokens [B, Q, W]."""
        return self.projection(query_output)


class MLPAdaptor(nn.Module):
    """Two affine maps with a GELU between them, [B, Q, D] -> [B, Q, W]; the hidden width is W."""

    kind = "mlp"

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.layers = nn.Sequential(
            nn.Linear(in_features, out_features), nn.GELU(), nn.Linear(out_features, out_features)
        )

    @property
    def first_layer(self) -> nn.Linear:
        """The layer that reads the features."""
        return self.layers[0]

    @property
    def last_layer(self) -> nn.Linear:
        """The layer that writes the soft tokens."""
        return self.layers[2]

    def forward(self, query_output: Tensor) -> Tensor:
        """Map query output [B, Q, D] to soft tokens [B, Q, W]."""
        return self.layers(query_output)


Adaptor = LinearAdaptor | MLPAdaptor


def build_adaptor(
    kind: str,
    in_features: int,
    out_features: int,
    mean: Tensor | None = None,
    std: Tensor | None = None,
    output_std: float | None = None,
) -> Adaptor:
    """Build an untrained adaptor of a kind ("linear" or "mlp").

    With `mean` and `std` [D] the first layer starts as if the features were standardised (a
    constant that folds into the affine map, so that no parameter is added); with `output_std` the last layer is
    scaled so that soft tokens of standardised features start with about that standard deviation, that of
    the language model's own embeddings.
    """
    if kind == "linear":
        adaptor: Adaptor = LinearAdaptor(in_features, out_features)
    elif kind == "mlp":
        adaptor = MLPAdaptor(in_features, out_features)
    else:
        raise ValueError(f'There is no adaptor of kind "{kind}"; choose one of {", ".join(KINDS)}.')
    with torch.no_grad():
        if output_std is not None:
            # nn.Linear draws from U(-1/sqrt(n), 1/sqrt(n)): unit input gives outputs of variance 1/3.
            adaptor.last_layer.weight.mul_(output_std * 3**0.5)
            adaptor.last_layer.bias.zero_()
        if mean is not None and std is not None:
            first = adaptor.first_layer
            first.weight.div_(std.to(first.weight).clamp_min(1e-6))
            first.bias.sub_(first.weight @ mean.to(first.weight))
    return adaptor


def save_adaptor(
    adaptor: Adaptor,
    path: Path,
    metadata: Mapping[str, Any] | None = None,
    q_former: Mapping[str, Tensor] | None = None,
    low_rank: Mapping[str, Tensor] | None = None,
) -> None:
    """Write an adaptor as one safetensors file whose metadata name its kind and widths.

    Weights of a Q-Former and low-rank additions to the language model that were trained with it stand in the same
    file: one is of no use without the other.
    """
    header = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (metadata or {}).items()}
    header |= {
        "kind": adaptor.kind,
        "in_features": str(adaptor.in_features),
        "out_features": str(adaptor.out_features),
    }
    named = adaptor.state_dict()
    for prefix, part in ((_Q_FORMER, q_former), (_LOW_RANK, low_rank)):
        named |= {prefix + name: tensor for name, tensor in (part or {}).items()}
    state = {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in named.items()}
    write_atomically(path, _with_sorted_header(save(state, metadata=header)))


def _with_sorted_header(data: bytes) -> bytes:
    """The same safetensors file with its header's keys in order: the library's order differs between processes."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def read_adaptor_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of an adaptor file; a missing or damaged file is a ValueError that names it."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"The adaptor {path} does not exist; run the training that writes it first.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"The adaptor {path} cannot be read ({error}); run its training again.") from error
    missing = {"kind", "in_features", "out_features"} - metadata.keys()
    if missing:
        raise ValueError(f"{path} is not an adaptor file: its metadata lack {', '.join(sorted(missing))}.")
    return metadata


def load_adaptor(path: Path) -> Adaptor:
    """Load an adaptor that `save_adaptor` wrote, in eval mode on the CPU."""
    path = Path(path)
    metadata = read_adaptor_metadata(path)
    adaptor = build_adaptor(metadata["kind"], int(metadata["in_features"]), int(metadata["out_features"]))
    try:
        adaptor.load_state_dict(_read_tensors(path, ""))
    except RuntimeError as error:
        raise ValueError(f"The weights in {path} do not fit the kind and widths that it states: {error}") from error
    return adaptor.eval()


def read_q_former_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of the Q-Former that an adaptor was trained with; none where that one was frozen."""
    read_adaptor_metadata(path)
    return _read_tensors(path, _Q_FORMER)


def read_low_rank_weights(path: Path) -> dict[str, Tensor]:
    """Return the additions to the language model that an adaptor was trained with; none where that one was frozen."""
    read_adaptor_metadata(path)
    return _read_tensors(path, _LOW_RANK)


def has_q_former(path: Path) -> bool:
    """Whether an adaptor was trained with a Q-Former, whose weights are in its file then."""
    return _has(path, _Q_FORMER)


def has_low_rank(path: Path) -> bool:
    """Whether an adaptor was trained with additions to the language model, which are in its file then."""
    return _has(path, _LOW_RANK)


def _has(path: Path, prefix: str) -> bool:
    read_adaptor_metadata(path)
    with safe_open(path, framework="pt") as file:
        return any(name.startswith(prefix) for name in file.keys())  # noqa: SIM118 (not a mapping)


def _read_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """Read what stands under a prefix, or the adaptor's own alone, which is a small part of the file beside others."""
    with safe_open(path, framework="pt") as file:
        names = [
            name
            for name in file.keys()  # noqa: SIM118 (not a mapping)
            if (name.startswith(prefix) if prefix else not name.startswith((_Q_FORMER, _LOW_RANK)))
        ]
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
