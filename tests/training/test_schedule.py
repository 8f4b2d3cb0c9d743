from itertools import pairwise

import pytest

from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.training.schedule import learning_rate

REPORT = TrainingSettings(
    batch_size=192, epochs=4, learning_rate_start=1e-6, learning_rate=1e-4, learning_rate_end=8e-5
)


def test_the_rate_rises_over_the_first_epoch_and_falls_to_its_end():
    rates = [learning_rate(step, 100, REPORT) for step in range(400)]
    assert rates[0] == pytest.approx(1e-6)
    assert rates[50] == pytest.approx((1e-6 + 1e-4) / 2)
    assert rates[100] == pytest.approx(1e-4)
    assert rates[-1] == pytest.approx(8e-5)
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_the_rate_has_no_jump_behind_the_warm_up():
    rates = [learning_rate(step, 1000, REPORT) for step in range(4000)]
    steps = [abs(after - before) for before, after in pairwise(rates)]
    assert max(steps) <= 1.01 * (1e-4 - 1e-6) / 1000


def test_without_warm_up_it_begins_at_the_peak():
    settings = REPORT.model_copy(update={"warmup_epochs": 0.0})
    assert learning_rate(0, 10, settings) == pytest.approx(1e-4)
    assert learning_rate(39, 10, settings) == pytest.approx(8e-5)


def test_rates_and_epochs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="peak of the schedule"):
        TrainingSettings(batch_size=1, epochs=1, learning_rate=1e-4, learning_rate_end=1e-3)
    with pytest.raises(ValueError, match="must not exceed epochs"):
        TrainingSettings(batch_size=1, epochs=1, learning_rate=1e-4, learning_rate_end=1e-5, warmup_epochs=2)


def test_how_a_run_is_carried_out_is_no_part_of_what_defines_it():
    faster = REPORT.model_copy(update={"zero_stage": 3, "checkpoint_every": 1, "wall_time_minutes": 5.0})
    assert faster.defining() == REPORT.defining()
    assert REPORT.model_copy(update={"seed": 1}).defining() != REPORT.defining()
