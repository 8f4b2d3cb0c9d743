"""A LLaMA of full size in a few gigabytes: decoder layers with random weights are made, run and freed one by one.

The weights of a layer follow from a seed and its number, so that the backward pass makes the same layer again.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer


class _RunAndFree(torch.autograd.Function):
    """A decoder layer that lives during its forward pass, and again during its backward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, layer: "StreamedLayer", options: Mapping[str, Any]) -> Tensor:
        ctx.save_for_backward(hidden)
        ctx.layer, ctx.options = layer, options
        with torch.no_grad():
            return layer.make()(hidden, **options)[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        hidden = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            output = ctx.layer.make()(hidden, **ctx.options)[0]
        return torch.autograd.grad(output, hidden, gradient)[0], None, None


class StreamedLayer(nn.Module):
    """Stands in the place of a decoder layer and holds no weights."""

    def __init__(self, config: LlamaConfig, index: int, seed: int) -> None:
        super().__init__()
        self.config, self.index, self.seed = config, index, seed

    def make(self) -> LlamaDecoderLayer:
        """Return the layer with its random weights, frozen."""
        with torch.device("meta"):
            layer = LlamaDecoderLayer(self.config, self.index)
        layer.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(self.seed * 1000 + self.index)
        for parameter in layer.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0.0, self.config.initializer_range, generator=generator)
            else:
                parameter.data.fill_(1.0)
        return layer.requires_grad_(False).eval()

    def forward(self, hidden_states: Tensor, **options: Any) -> tuple[Tensor]:
        assert not options.get("use_cache"), "a layer that runs twice would write its keys into a cache twice"
        return (_RunAndFree.apply(hidden_states, self, options),)


def streamed_llama(config: LlamaConfig, seed: int = 0) -> LlamaForCausalLM:
    """Return a causal LLaMA whose embeddings and head are there, and whose decoder layers come and go."""
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    layers = model.model.layers
    for index in range(len(layers)):
        layers[index] = StreamedLayer(config, index, seed)
    model.to_empty(device="cpu")
    # to_empty leaves what follows from the configuration undefined.
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0.0, config.initializer_range, generator=generator)
        else:
            parameter.data.fill_(1.0)
    return model.requires_grad_(False).eval()


def parameter_count(config: LlamaConfig) -> int:
    """Number of parameters of a whole LLaMA of that geometry."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in LlamaForCausalLM(config).parameters())
