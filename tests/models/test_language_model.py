"""Loading the language model: frozen, from a local folder, with a sentence for a folder that is not one."""

import shutil

import pytest
import torch

from workflow_scripts.models.language_model import load_language_model


def test_is_frozen_and_in_eval_mode(language_model_folder):
    model, tokenizer = load_language_model(language_model_folder)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert tokenizer.chat_template


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere holds no language model"):
        load_language_model(tmp_path / "nowhere")


def test_a_folder_without_weights_is_named(language_model_folder, tmp_path):
    folder = shutil.copytree(language_model_folder, tmp_path / "copy")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="holds no weights"):
        load_language_model(folder)


def test_damaged_weights_are_named(language_model_folder, tmp_path):
    folder = shutil.copytree(language_model_folder, tmp_path / "copy")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_language_model(folder)


def test_weights_of_another_geometry_are_refused(language_model_folder, tmp_path):
    folder = shutil.copytree(language_model_folder, tmp_path / "copy")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(ValueError, match="lack or misshape"):
        load_language_model(folder)
