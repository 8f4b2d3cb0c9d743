"""A LLaMA with random weights and a tokenizer of its own, in Hugging Face's form, made in a fraction of a second."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
}


def write_tiny_language_model(folder: Path, texts: Iterable[str], **changes: Any) -> None:
    """Write the folder of a language model that knows the words of texts; `changes` are to the sizes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from workflow_scripts.small_models.tokenizer import build_tokenizer

    tokenizer = build_tokenizer(texts)
    tokens = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(tokenizer), **SIZES | tokens | changes)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
