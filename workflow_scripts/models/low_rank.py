"""Low-rank additions to the matrices of a frozen language model (LoRA; Hu et al., 2021, arXiv:2106.09685), by peft.

Each matrix W [O, I] inside the layers becomes W + B A with A [R, I] and B [O, R], R being the rank. B begins at zero:
until it is trained, the model is what it was.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from workflow_scripts.models.adaptor import read_low_rank_weights
from workflow_scripts.models.language_model import load_language_model

_MARK = ".lora_"


def is_low_rank(name: str) -> bool:
    """Whether a parameter of a language model, by its name, belongs to a low-rank addition."""
    return _MARK in name


def add_low_rank(model: PreTrainedModel, rank: int) -> None:
    """Put additions of a rank beside all matrices of a model but its embeddings; they alone require gradients.

    They have no dropout, so that a resumed training does not depend on more than its step.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules="all-linear")
    inject_adapter_in_model(config, model)


@torch.no_grad()
def load_low_rank(model: PreTrainedModel, weights: Mapping[str, Tensor], adaptor: Path, trained: bool = False) -> None:
    """Put the additions that an adaptor's file holds into a model, frozen or to be trained; none change nothing.

    Raises:
        ValueError: they were made for another language model; names the file.
    """
    if not weights:
        return
    add_low_rank(model, rank_of(weights))
    own = {name: parameter for name, parameter in model.named_parameters() if is_low_rank(name)}
    found, wanted = ({name: tuple(tensor.shape) for name, tensor in part.items()} for part in (weights, own))
    if found != wanted:
        raise ValueError(
            f"{adaptor} was trained with low-rank additions to another language model than "
            f"{model.name_or_path or 'this one'}; take the language model that its run.json names."
        )
    for name, parameter in own.items():
        parameter.copy_(weights[name]).requires_grad_(trained)


def rank_of(weights: Mapping[str, Tensor]) -> int:
    """The rank of additions, of which there is one at least."""
    return next(len(tensor) for name, tensor in weights.items() if f"{_MARK}A" in name)


def load_language_model_of(
    adaptor: Path, folder: Path, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a language model, frozen, with what was trained of it together with an adaptor, and its tokenizer."""
    model, tokenizer = load_language_model(folder, dtype, device)
    load_low_rank(model, read_low_rank_weights(adaptor), adaptor)
    return model, tokenizer
