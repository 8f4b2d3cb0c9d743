"""Low-rank additions to a language model: without effect at first, kept in the adaptor's file, put back from it."""

import pytest
import torch

from workflow_scripts.models.adaptor import (
    build_adaptor,
    has_low_rank,
    load_adaptor,
    read_low_rank_weights,
    read_q_former_weights,
    save_adaptor,
)
from workflow_scripts.models.language_model import load_language_model
from workflow_scripts.models.low_rank import add_low_rank, is_low_rank, load_language_model_of
from workflow_scripts.models.prompt import Prompt
from workflow_scripts.models.vision_language_model import VisionLanguageModel


def additions_of(model):
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if is_low_rank(name)}


@pytest.fixture
def changed(language_model_folder):
    """A language model with additions that are no longer zero, and these."""
    model, _ = load_language_model(language_model_folder)
    torch.manual_seed(0)
    add_low_rank(model, 3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if is_low_rank(name):
                weight.normal_(std=0.1)
    return model, additions_of(model)


def test_new_additions_change_nothing_and_they_alone_are_trained(language_model_folder):
    ids = torch.arange(5, 12)[None]
    model, tokenizer = load_language_model(language_model_folder)
    before = model(ids).logits
    add_low_rank(model, 3)
    torch.testing.assert_close(model(ids).logits, before, rtol=0, atol=0)
    system = VisionLanguageModel(build_adaptor("linear", 16, 48), model, Prompt(tokenizer)).train()
    trained = {name for name, weight in system.named_parameters() if weight.requires_grad}
    in_layers = {name for name in trained if name.startswith("language_model.model.layers.")}
    assert trained == in_layers | {"adaptor.projection.weight", "adaptor.projection.bias"}
    assert in_layers
    assert all(is_low_rank(name) for name in in_layers)
    assert not any("embed_tokens" in name or "lm_head" in name for name in trained)


def test_additions_come_back_from_the_adaptor_s_file_frozen(changed, language_model_folder, tmp_path):
    model, additions = changed
    adaptor, path = build_adaptor("linear", 16, 48), tmp_path / "adaptor.safetensors"
    save_adaptor(adaptor, path, low_rank=additions, q_former={"query_tokens": torch.ones(1, 2, 3)})
    assert has_low_rank(path)
    assert read_low_rank_weights(path).keys() == additions.keys()
    assert list(read_q_former_weights(path)) == ["query_tokens"]
    assert load_adaptor(path).state_dict().keys() == adaptor.state_dict().keys()
    loaded, _ = load_language_model_of(path, language_model_folder)
    ids = torch.arange(5, 12)[None]
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)
    plain, _ = load_language_model(language_model_folder)
    assert not torch.allclose(loaded(ids).logits, plain(ids).logits)
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_an_adaptor_without_additions_leaves_the_language_model_as_it_is(language_model_folder, tmp_path):
    path = tmp_path / "adaptor.safetensors"
    save_adaptor(build_adaptor("linear", 16, 48), path)
    assert not has_low_rank(path)
    model, _ = load_language_model_of(path, language_model_folder)
    assert not additions_of(model)


def test_additions_to_another_language_model_are_an_error_that_names_the_file(changed, language_model_folder, tmp_path):
    _, additions = changed
    path = tmp_path / "other.safetensors"
    missing = dict(list(additions.items())[2:])
    wider = {name: torch.cat([weight, weight], dim=1 if "lora_A" in name else 0) for name, weight in additions.items()}
    for weights in (missing, wider):
        save_adaptor(build_adaptor("linear", 16, 48), path, low_rank=weights)
        with pytest.raises(ValueError, match=r"other.safetensors was trained with .* another language model"):
            load_language_model_of(path, language_model_folder)
