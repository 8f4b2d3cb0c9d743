"""A LLaMA whose layers come and go computes what an ordinary one does."""

import pytest
import torch
import yaml


@pytest.fixture(scope="module")
def config():
    from transformers import LlamaConfig

    return LlamaConfig(vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4)


def test_loss_and_gradient_are_those_of_the_whole_model(config):
    from transformers import LlamaForCausalLM

    from workflow_scripts.preflight.streamed_layers import streamed_llama

    streamed = streamed_llama(config, seed=3)
    whole = LlamaForCausalLM(config).eval()
    state = streamed.state_dict()
    for index, layer in enumerate(streamed.model.layers):
        state |= {f"model.layers.{index}.{name}": value for name, value in layer.make().state_dict().items()}
    whole.load_state_dict(state)
    found = []
    for model in (streamed, whole):
        embeds = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
        mask = torch.ones(2, 9, dtype=torch.long)
        mask[1, 6:] = 0
        loss = model(
            inputs_embeds=embeds, attention_mask=mask, labels=torch.arange(18).view(2, 9), use_cache=False
        ).loss
        loss.backward()
        found.append((loss.detach(), embeds.grad))
    torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])
    assert found[0][1].abs().sum() > 0


def test_the_streamed_model_holds_no_decoder_layer(config):
    from workflow_scripts.preflight.streamed_layers import parameter_count, streamed_llama

    held = sum(parameter.numel() for parameter in streamed_llama(config).parameters())
    assert held == 2 * 400 * 32 + 32
    assert parameter_count(config) > 2 * held / 3


def test_the_plan_s_parameters_and_memory_are_those_of_the_full_sizes_and_others_are_named():
    from workflow_scripts.config.vision import QformerGeometry
    from workflow_scripts.preflight.full_size import EXPECTED, SCALE, check_plan, planned

    geometry = yaml.safe_load(SCALE.read_text())["feature_extractor_geometry"]
    plan = planned(QformerGeometry(**geometry))
    # The weights in fp32, and what the interpreter and a few pictures take.
    found = {**EXPECTED, "feature_extractor.peak_gigabytes": 4 * EXPECTED["feature_extractor.parameters"] / 1e9 + 0.7}
    check_plan(found, plan)
    with pytest.raises(ValueError, match=r"peak_gigabytes is 9, but the plan says 5\.3"):
        check_plan({**found, "feature_extractor.peak_gigabytes": 9.0}, plan)
    with pytest.raises(ValueError, match=r"language_model\.parameters is 6738415615, but the plan says 6738415616"):
        check_plan({**found, "language_model.parameters": 6_738_415_615}, plan)


def test_the_check_of_the_language_model_sees_every_gradient():
    from workflow_scripts.preflight.full_size import LLAMA_2_7B, check_language_model

    small = {**LLAMA_2_7B, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    found = check_language_model(small, queries=32, width=24)
    assert found["adaptor.parameters"] == found["adaptor.gradients_not_zero"] == 24 * 64 + 64
    assert found["sequence"][0] == 2
    assert found["sequence"][2] == 64
