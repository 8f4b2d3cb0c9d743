import os
import signal
import time

import pytest

from workflow_scripts.training.wall_time import Deadline, StopSignals


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)


def test_without_a_wall_time_the_time_is_never_over():
    assert not Deadline(None, 20.0).reached()


def test_time_is_kept_free_for_the_slowest_step_and_checkpoint_seen_twice_each():
    deadline = Deadline(10, 20.0)
    left = deadline.end - time.time() - 20.0
    deadline.longest_step, deadline.longest_save = left / 8, left / 4
    assert not deadline.reached()
    deadline.longest_save = left / 2
    assert deadline.reached()


def test_a_checkpoint_that_takes_longer_than_the_wall_time_ends_the_training_before_a_step_that_would_be_lost():
    deadline = Deadline(1, 0.0)
    assert not deadline.reached()
    deadline.longest_save = 61.0
    assert deadline.reached()


def test_the_end_of_the_slurm_job_counts_where_it_comes_first(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 15))
    assert Deadline(60, 20.0).reached()
    assert not Deadline(60, 5.0).reached()
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 86400))
    assert Deadline(0.1, 20.0).reached()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_remembered_and_ends_nothing(number):
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        signals = StopSignals()
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number.name
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
