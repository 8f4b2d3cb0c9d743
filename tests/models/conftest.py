"""A tiny LLaMA with random weights and its own tokenizer, made in a fraction of a second."""

import pytest
import torch

from workflow_scripts.small_models.tokenizer import build_tokenizer

SENTENCES = [
    "a red cat sits left of the blue dog.",
    "what colour is the cat?",
    "how many kites are on the beach?",
    "{<12><30><25><25>}",
]


@pytest.fixture(scope="session")
def tokenizer():
    return build_tokenizer(SENTENCES)


@pytest.fixture(scope="session")
def language_model_folder(tokenizer, tmp_path_factory):
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("language_model")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=256,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            initializer_range=0.3,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
