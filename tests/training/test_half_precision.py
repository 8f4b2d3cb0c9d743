"""fp16 with loss scaling, as GPUs without bf16 train: DeepSpeed's own scaler, on half-precision tensors of this CPU.

What cannot exist here is only the device's word that it computes in fp16; that is what the fixture changes.
"""

import numpy as np
import pytest

from workflow_scripts.tracking.recorder import read_lines
from workflow_scripts.training import wall_time

pytestmark = pytest.mark.slow
SETTINGS = {"precision": "fp16", "log_every": 1, "checkpoint_every": 1}


def losses(folder):
    return [line["loss"] for line in read_lines(folder / "metrics.jsonl")]


@pytest.fixture
def device_with_fp16(monkeypatch):
    from deepspeed.accelerator import get_accelerator

    from workflow_scripts.training import setup

    monkeypatch.setattr(setup, "resolve_precision", lambda precision: precision)
    monkeypatch.setattr(type(get_accelerator()), "is_fp16_supported", lambda self: True)


def scales(monkeypatch):
    """Collect the loss scale after every step, and optionally set the first."""
    from workflow_scripts.training.loop import TrainingLoop

    found = []
    step = TrainingLoop._step

    def watch(self, number):
        stop = step(self, number)
        found.append(self.engine.optimizer.loss_scale)
        return stop

    monkeypatch.setattr(TrainingLoop, "_step", watch)
    return found


@pytest.mark.parametrize("stage", [0, 2])
def test_it_trains_as_in_fp32_within_half_precision(trainer, tmp_path, device_with_fp16, stage):
    half = trainer.here(tmp_path / "half", SETTINGS | {"zero_stage": stage})
    full = trainer.here(tmp_path / "full", SETTINGS | {"precision": "fp32", "zero_stage": stage})
    np.testing.assert_allclose(losses(half), losses(full), rtol=0.02)


def test_a_gradient_that_overflows_halves_the_scale_and_leaves_the_weights(
    trainer, tmp_path, device_with_fp16, monkeypatch
):
    from workflow_scripts.training import setup

    build = setup.engine_config

    def too_large(settings, precision):
        config = build(settings, precision)
        config["fp16"] |= {"initial_scale_power": 30, "hysteresis": 1}
        return config

    monkeypatch.setattr(setup, "engine_config", too_large)
    found = scales(monkeypatch)
    folder = trainer.here(tmp_path / "run", SETTINGS)
    assert found[0] == 2**29
    assert found == sorted(found, reverse=True)
    assert np.isfinite(losses(folder)).all()
    # The first steps overflowed: nothing was learned in them, and something later.
    assert found[-1] < 2**30
    assert len(losses(folder)) == 14


def test_the_scale_is_part_of_a_checkpoint_and_a_resumed_training_ends_bit_for_bit(
    trainer, tmp_path, device_with_fp16, monkeypatch
):
    whole = trainer.here(tmp_path / "whole", SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        looks = iter(range(1000))
        patch.setattr(wall_time.Deadline, "reached", lambda self: next(looks) == 6)
        with pytest.raises(SystemExit):
            trainer.here(tmp_path / "run", SETTINGS)
    folder = trainer.here(tmp_path / "run", SETTINGS)
    assert losses(folder) == losses(whole)
    assert (folder / "adaptor.safetensors").read_bytes() == (whole / "adaptor.safetensors").read_bytes()


def test_a_cpu_refuses_fp16_and_a_gpu_takes_the_best_that_it_has(monkeypatch):
    import torch

    from workflow_scripts.training.engine import resolve_precision

    with pytest.raises(ValueError, match="a CPU cannot train in fp16; choose auto, fp32 or bf16"):
        resolve_precision("fp16")
    assert resolve_precision("auto") == "fp32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for supported, expected in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda supported=supported: supported)
        assert resolve_precision("auto") == expected
    assert resolve_precision("fp32") == "fp32"
