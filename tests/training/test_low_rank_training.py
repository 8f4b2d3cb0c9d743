"""Trainings of the adaptor together with low-rank additions to the language model, in this process."""

import json

import numpy as np
import pytest
from test_train_adaptor import interrupt, losses

pytestmark = pytest.mark.slow
LOW_RANK = {"low_rank": 2}
STILL = {"learning_rate": 1e-9, "learning_rate_start": 0, "learning_rate_end": 0, "weight_decay": 0}


def additions_of(folder):
    from workflow_scripts.models.adaptor import read_low_rank_weights

    return read_low_rank_weights(folder / "adaptor.safetensors")


@pytest.fixture(scope="module")
def frozen(trainer, tmp_path_factory):
    return trainer.here(tmp_path_factory.mktemp("run") / "frozen")


@pytest.fixture(scope="module")
def trained(trainer, tmp_path_factory):
    return trainer.here(tmp_path_factory.mktemp("run") / "trained", LOW_RANK)


def test_the_additions_learn_beside_the_adaptor_and_fit_the_samples_better(frozen, trained):
    assert not additions_of(frozen)
    weights = additions_of(trained)
    assert weights
    assert all(weight.abs().max() > 0 for weight in weights.values()), "each B has left its zero"
    assert losses(trained)[-1] < losses(frozen)[-1]
    records = [json.loads((folder / "run.json").read_text()) for folder in (frozen, trained)]
    more = sum(weight.numel() for weight in weights.values())
    assert records[1]["trainable_parameters"] == records[0]["trainable_parameters"] + more


def test_the_additions_learn_at_their_share_of_the_learning_rate(trainer, trained, tmp_path):
    slow = trainer.here(tmp_path / "run", LOW_RANK | {"low_rank_learning_rate_share": 0.01})
    moved = [
        max(float(weight.abs().max()) for name, weight in additions_of(folder).items() if "lora_B" in name)
        for folder in (slow, trained)
    ]
    assert 0 < moved[0] < 0.1 * moved[1]


@pytest.mark.parametrize("stage", [0, 1, 3])
def test_every_zero_stage_trains_and_exports_the_same_additions(stage, trainer, trained, tmp_path):
    import torch

    folder = trainer.here(tmp_path / "run", LOW_RANK | {"zero_stage": stage})
    np.testing.assert_allclose(losses(folder), losses(trained), rtol=1e-4)
    weights = additions_of(folder)
    assert weights.keys() == additions_of(trained).keys()
    for name, value in additions_of(trained).items():
        torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-3)


def test_two_processes_train_the_additions_as_one_does(trainer, trained, tmp_path):
    code, output = trainer.command(tmp_path / "run", LOW_RANK, processes=2)
    assert code == 0, output[-3000:]
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(trained), rtol=1e-4)


def test_a_training_of_additions_goes_on_bit_for_bit_where_it_was_stopped(trainer, tmp_path):
    whole = trainer.here(tmp_path / "whole", LOW_RANK)
    interrupt(trainer, tmp_path / "run", LOW_RANK)
    folder = trainer.here(tmp_path / "run", LOW_RANK)
    assert losses(folder) == losses(whole)
    assert (folder / "adaptor.safetensors").read_bytes() == (whole / "adaptor.safetensors").read_bytes()


def test_a_later_stage_goes_on_with_the_additions_and_keeps_them_where_they_are_frozen(trainer, trained, tmp_path):
    import torch

    initial = {"initial_adaptor": trained / "adaptor.safetensors"}
    for name, settings in {"frozen": {}, "trained": LOW_RANK}.items():
        folder = trainer.here(tmp_path / name, settings | STILL, **initial)
        assert losses(folder)[0] < losses(trained)[0], "it begins where the other one ended"
        kept = additions_of(folder)
        assert kept.keys() == additions_of(trained).keys()
        for key, value in additions_of(trained).items():
            torch.testing.assert_close(kept[key], value, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"additions of rank 2, but low_rank = 4; set 2 to train them further"):
        trainer.here(tmp_path / "other", {"low_rank": 4}, **initial)


def test_answers_are_those_of_the_language_model_with_its_additions(trainer, trained, tmp_path):
    import pyarrow.parquet

    from workflow_scripts.evaluation.predict import main
    from workflow_scripts.models.adaptor import load_adaptor, save_adaptor

    world = trainer.world
    rows = [
        {"id": f"q{number}", "image": f"set/{number:03d}", "query": "what is there?", "answer": "x"}
        for number in range(12)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "questions.parquet")
    save_adaptor(load_adaptor(trained / "adaptor.safetensors"), tmp_path / "without.safetensors")

    def answers(adaptor):
        options = {
            "--questions": tmp_path / "questions.parquet",
            "--features": world / "features" / "set",
            "--language-model": world / "language_model",
            "--adaptor": adaptor,
            "--output": tmp_path / "predictions.jsonl",
            "--settings": json.dumps({"max_new_tokens": 6}),
        }
        main([str(word) for option in options.items() for word in option])
        return [json.loads(line)["prediction"] for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]

    assert answers(trained / "adaptor.safetensors") != answers(tmp_path / "without.safetensors")


@pytest.mark.parametrize("settings", [LOW_RANK, {}])
def test_a_checkpoint_is_not_exported_without_its_additions_frozen_or_not(settings, trainer, trained, tmp_path):
    from workflow_scripts.training.export import export_checkpoint

    initial = {} if settings else {"initial_adaptor": trained / "adaptor.safetensors"}
    folder = trainer.here(tmp_path / "run", settings, **initial)
    checkpoint = sorted((folder / "checkpoints").glob("step-*"))[-1]
    with pytest.raises(ValueError, match=r"low-rank additions to the language model.*let it end, which writes both"):
        export_checkpoint(checkpoint, tmp_path / "adaptor.safetensors")
