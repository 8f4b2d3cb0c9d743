"""SIGKILL at random moments, KILLS of them over all kinds of trainings: KILLS=50 python -m pytest FILE"""

import os
import random
import subprocess

import pytest
from killing import assert_equal, finish, kill_after_step, kill_all

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "3"))
# Every third step is followed by a checkpoint, so that many moments lie inside of one.
SETTINGS = {"epochs": 14, "checkpoint_every": 3, "log_every": 1}
STEPS = 98
CASES = [
    (kind, processes, stage) for kind in ("pretraining", "finetuning") for processes in (1, 2) for stage in (0, 2, 3)
]


@pytest.fixture(scope="module")
def references(trainer, tmp_path_factory):
    """Uninterrupted trainings, made when they are first asked for."""
    folder = tmp_path_factory.mktemp("references")
    done = {}

    def reference(case):
        if case not in done:
            settings, options = arguments(case, reference)
            done[case] = finish(trainer, folder / "-".join(map(str, case)), settings, **options)
        return done[case]

    return reference


def arguments(case, references):
    """Settings and options of a training; a finetuning goes on from another one's adaptor."""
    kind, processes, stage = case
    settings = SETTINGS | {"zero_stage": stage}
    if kind == "pretraining":
        return settings, {"processes": processes}
    settings |= {"learning_rate": 3e-3, "samples_per_image": 2}
    initial = references(("pretraining", 1, 0)) / "adaptor.safetensors"
    return settings, {"processes": processes, "initial_adaptor": initial}


def kills_of(index):
    """How many of the kills come to a case; few kills are spread over the kinds of trainings."""
    return (index + 1) * KILLS // len(CASES) - index * KILLS // len(CASES)


@pytest.mark.parametrize(
    ("case", "kills"), [(case, kills_of(index)) for index, case in enumerate(CASES) if kills_of(index)]
)
def test_a_training_killed_at_random_moments_ends_as_an_uninterrupted_one(trainer, references, tmp_path, case, kills):
    reference = references(case)
    settings, options = arguments(case, references)
    generator = random.Random(CASES.index(case))
    folder = tmp_path / "killed"
    steps = sorted(generator.sample(range(1, STEPS - 20), kills))
    for number, step in enumerate(steps):
        process = trainer.start(folder, settings, **options)
        if number % 5 == 4:
            kill_while_it_starts(process, generator.uniform(0, 8))
        else:
            kill_after_step(process, folder, step, while_saving=generator.random() < 0.5)
    finish(trainer, folder, settings, **options)
    assert_equal(folder, reference)


def kill_while_it_starts(process, seconds):
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_all(process)
