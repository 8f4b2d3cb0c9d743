"""Weights that come as pickles, as those of Vicuna and CLIP, are loaded as safetensors and run nothing."""

import json
import pickle

import pytest
import torch

from workflow_scripts.sources import unpickle_weights as module
from workflow_scripts.sources.unpickle_weights import unpickle_weights


@pytest.fixture
def vicuna(tmp_path, tokenizer):
    """A LLaMA in two pickles with an index, a tokenizer without a chat template, and a template beside it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from workflow_scripts.catalogue.load import load_catalogue

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlamaForCausalLM(config)
    config.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    about = json.loads((tmp_path / "tokenizer_config.json").read_text())
    about.pop("chat_template", None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(about))
    (tmp_path / "chat_template.jinja").write_text(load_catalogue().source("vicuna_7b").chat_template)
    names = [f"pytorch_model-{number:05d}-of-00002.bin" for number in (1, 2)]
    places = {key: names[position % 2] for position, key in enumerate(model.state_dict())}
    for name in names:
        torch.save({key: model.state_dict()[key] for key, place in places.items() if place == name}, tmp_path / name)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    return tmp_path, model


@pytest.fixture(scope="module")
def tokenizer():
    from workflow_scripts.small_models.tokenizer import build_tokenizer

    return build_tokenizer(["what is on the mat? a cat", "USER: ASSISTANT:"])


@pytest.mark.parametrize("files", [1, 3])
def test_the_converted_model_is_the_same_and_has_the_familys_prompt(vicuna, monkeypatch, files):
    from workflow_scripts.models.language_model import load_language_model
    from workflow_scripts.models.prompt import Prompt

    folder, model = vicuna
    size = sum(value.nbytes for value in model.state_dict().values())
    monkeypatch.setattr(module, "SHARD_BYTES", size if files == 1 else size // 2)
    sums = unpickle_weights(folder)
    assert not list(folder.glob("*.bin"))
    several = {*(f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3)), "model.safetensors.index.json"}
    assert set(sums) == ({"model.safetensors"} if files == 1 else several)
    loaded, tokenizer = load_language_model(folder)
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    prompt = Prompt(tokenizer)
    before, after = prompt.prefix_ids("what is on the mat?")
    assert tokenizer.decode(before).replace(" ", "") == "<s>USER:"
    assert tokenizer.decode(after).split() == ["what", "is", "on", "the", "mat?", "ASSISTANT:"]
    assert before.count(tokenizer.bos_token_id) == 1


def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match=r"pytorch_model\.bin does not hold weights alone"):
        unpickle_weights(tmp_path)


def test_a_missing_part_is_named(vicuna):
    folder, _ = vicuna
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {**json.loads(index.read_text())["weight_map"], "lost.weight": "x"}}))
    with pytest.raises(ValueError, match=r"lack lost\.weight, which their index names"):
        unpickle_weights(folder)
