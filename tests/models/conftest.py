"""A tiny LLaMA with random weights and its own tokenizer, made in a fraction of a second."""

import pytest
from tiny_language_model import write_tiny_language_model

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
def language_model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language_model")
    write_tiny_language_model(folder, SENTENCES)
    return folder
