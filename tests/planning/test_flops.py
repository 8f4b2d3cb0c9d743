"""The formulas against what PyTorch counts while real models run."""

import pytest
from tiny_feature_extractor import build_tiny_model

from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.planning.flops import (
    LanguageModel,
    adaptor_parameters,
    adaptor_step,
    feature_extraction,
    low_rank_step,
)
from workflow_scripts.planning.memory import activation_bytes, dividing_devices, training_memory

MODEL = LanguageModel(width=64, intermediate=176, layers=3, heads=4, key_value_heads=2, vocabulary=300)
LLAMA_7B = LanguageModel(4096, 11008, 32, 32, 32, 32000)


def build(model, dtype=None, attention="eager"):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=model.vocabulary,
        hidden_size=model.width,
        intermediate_size=model.intermediate,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_key_value_heads=model.key_value_heads,
    )
    built = LlamaForCausalLM._from_config(config, attn_implementation=attention, torch_dtype=dtype or torch.float32)
    return built.requires_grad_(False).eval()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "rank"), [("linear", None), ("mlp", None), ("linear", 4)])
def test_a_training_step_counts_as_many_operations_as_pytorch_does(kind, rank):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from workflow_scripts.models.adaptor import build_adaptor
    from workflow_scripts.models.low_rank import add_low_rank
    from workflow_scripts.models.vision_language_model import VisionLanguageModel

    language_model = build(MODEL)
    if rank:
        add_low_rank(language_model, rank)
    model = VisionLanguageModel(build_adaptor(kind, 24, 64), language_model, prompt=None)
    ids = torch.randint(0, 300, (2, 20)).tolist()
    with FlopCounterMode(display=False) as counted:
        model(
            torch.randn(2, 8, 24), [row[:3] for row in ids], [row[3:10] for row in ids], [row[10:] for row in ids]
        ).backward()
    # PyTorch also counts the one product that makes the angles of all positions.
    angles = 2 * 28 * MODEL.width // MODEL.heads // 2
    step = adaptor_step(MODEL, kind, (8, 24), tokens=28, outputs=10) + low_rank_step(MODEL, rank, tokens=28)
    assert counted.get_total_flops() == 2 * step + angles


def test_parameters_are_those_of_the_real_model():
    assert sum(weight.numel() for weight in build(MODEL).parameters()) == MODEL.parameters
    assert LLAMA_7B.parameters == 6_738_415_616
    assert adaptor_parameters("linear", 768, 4096) == 3_149_824


def test_additions_to_the_language_model_have_as_many_parameters_as_they_really_do():
    from workflow_scripts.models.low_rank import add_low_rank

    model = build(MODEL)
    add_low_rank(model, 4)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert trained == MODEL.low_rank_parameters(4)
    assert LLAMA_7B.low_rank_parameters(16) == 39_976_960, "peft's own count for all matrices"


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2])
def test_a_picture_through_the_feature_extractor_counts_as_pytorch_does(every, tmp_path):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    sizes = {"image_size": 64, "vit_depth": 2, "vit_stem": "patch", "qformer_width": 48, "qformer_layers": 3}
    sizes |= {"qformer_intermediate": 64, "cross_attention_freq": every}
    model = build_tiny_model(tmp_path, ["a", "cat"], **sizes).eval().requires_grad_(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        model.extract_features({"image": torch.randn(2, 3, 64, 64)}, mode="image")
    assert counted.get_total_flops() == 2 * feature_extraction(model.geometry)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "width", "rank"), [("float32", 4, None), ("bfloat16", 2, None), ("bfloat16", 2, 8)]
)
def test_activations_take_what_pytorch_keeps_for_the_backward_pass(precision, width, rank):
    import torch

    from workflow_scripts.models.low_rank import add_low_rank

    model = LanguageModel(width=128, intermediate=400, layers=6, heads=4, key_value_heads=4, vocabulary=300)
    built = build(model, getattr(torch, precision), attention="sdpa")
    if rank:
        add_low_rank(built, rank)
    weights = {weight.untyped_storage().data_ptr() for weight in built.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)
        return tensor

    embeds = torch.randn(2, 48, 128, dtype=getattr(torch, precision), requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        built.model(inputs_embeds=embeds * 1, attention_mask=torch.ones(2, 48, dtype=torch.long), use_cache=False)
    assert sum(kept.values()) == pytest.approx(activation_bytes(model, 2 * 48, width, rank), rel=0.03)


def settings(**values):
    return TrainingSettings(
        **{"batch_size": 192, "epochs": 4, "learning_rate": 1e-4, "learning_rate_end": 8e-5} | values
    )


def test_zero_stage_3_shares_the_weights_and_smaller_passes_the_activations():
    def memory(**values):
        return training_memory(LLAMA_7B, 3_149_824, settings(**values), 8, (101, 60), half=True)

    whole, shared, small = memory(), memory(zero_stage=3), memory(micro_batch_size=6)
    assert whole.weights == 2 * LLAMA_7B.parameters
    assert shared.weights == pytest.approx(whole.weights / 8 + 2e9)
    assert small.activations == pytest.approx(whole.activations / 4)
    assert small.total < whole.total


def test_a_batch_is_given_to_the_most_gpus_that_divide_it():
    assert [dividing_devices(settings(batch_size=12), gpus) for gpus in (8, 4, 1)] == [6, 4, 1]
    assert dividing_devices(settings(), 8) == 8
