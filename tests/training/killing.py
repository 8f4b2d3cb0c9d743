"""Ways to kill a training, and what it means that one ended as another."""

import time

import psutil
import pytest

from workflow_scripts.tracking.recorder import read_lines


def comparable(folder):
    dropped = ("time", "samples_per_second")
    return [
        {key: value for key, value in line.items() if key not in dropped}
        for line in read_lines(folder / "metrics.jsonl")
    ]


def optimizer_state(folder):
    """All tensors of the final checkpoint, by file and place."""
    import torch

    def tensors(value, place):
        if isinstance(value, torch.Tensor):
            yield place, value
        elif isinstance(value, dict):
            for key, part in value.items():
                yield from tensors(part, f"{place}/{key}")
        elif isinstance(value, list | tuple):
            for index, part in enumerate(value):
                yield from tensors(part, f"{place}/{index}")

    last = sorted((folder / "checkpoints").glob("step-*"))[-1]
    files = sorted(last.glob("*.pt"))
    assert files
    return {place: value for path in files for place, value in tensors(torch.load(path, weights_only=False), path.name)}


def assert_equal(folder, reference):
    import torch

    one, other = (path / "adaptor.safetensors" for path in (folder, reference))
    assert one.read_bytes() == other.read_bytes(), "the files differ"
    assert comparable(folder) == comparable(reference)
    ours, theirs = optimizer_state(folder), optimizer_state(reference)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[place], theirs[place]) for place in ours)


def kill_all(process):
    """SIGKILL all processes of a training, those first that torchrun's end would tell to save."""
    family = psutil.Process(process.pid)
    for member in [*family.children(recursive=True), family]:  # torchrun's workers have sessions of their own
        member.kill()
    process.communicate(timeout=60)


def kill_after_step(process, folder, step, while_saving=False):
    """SIGKILL all processes of a training once it has recorded a step, or, then, while it writes a checkpoint."""
    wait_for_step(process, folder, step, while_saving)
    kill_all(process)


def finish(trainer, folder, settings, **options):
    code, output = trainer.command(folder, settings, **options)
    assert code == 0, output
    return folder


def workers_of(process):
    deadline = time.time() + 60
    while time.time() < deadline:
        children = psutil.Process(process.pid).children()
        workers = [child for child in children if any("train_adaptor" in part for part in child.cmdline())]
        if len(workers) == 2:
            return workers
        time.sleep(0.1)
    pytest.fail("there were no two workers")


def wait_for_step(process, folder, step, while_saving=False):
    """Return once a training has recorded a step, or, after that, once it writes a checkpoint."""
    deadline = time.time() + 900
    while time.time() < deadline and process.poll() is None:
        lines = read_lines(folder / "metrics.jsonl")
        saving = list((folder / "checkpoints").glob(".step-*")) if (folder / "checkpoints").exists() else []
        if lines and lines[-1]["step"] >= step and (saving or not while_saving):
            return
        time.sleep(0.001)
    process.kill()
    output, _ = process.communicate(timeout=60)
    pytest.fail(f"the training ended, or hung, before step {step} was seen: {output[-2000:]}")
