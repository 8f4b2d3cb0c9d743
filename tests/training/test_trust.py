"""A checkpoint is a program: which ones are read."""

import pickle
from pathlib import Path

import pytest
import torch

from workflow_scripts.command_line import write_json
from workflow_scripts.identity import sha256_of_file
from workflow_scripts.training.checkpoint import Checkpoints
from workflow_scripts.training.export import export_checkpoint


class Program:
    """What a stranger puts into a checkpoint."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def write_checkpoint(run, mark):
    """A checkpoint with right checksums that makes a file as it is read, and then holds no adaptor."""
    folder = run / "checkpoints" / "step-000000001"
    folder.mkdir(parents=True)
    torch.save({"module": {}, "more": Program(mark)}, folder / "mp_rank_00_model_states.pt", pickle_module=pickle)
    files = {"mp_rank_00_model_states.pt": sha256_of_file(folder / "mp_rank_00_model_states.pt")}
    write_json(
        folder / "checkpoint.json", {"format": 1, "run": "r", "files": files, "state": {"progress": {"step": 1}}}
    )
    write_json(run / "definition.json", {"identity": {}, "settings": {"adaptor": "linear"}})
    return folder


def test_a_checkpoint_of_a_stranger_is_not_run_whatever_checksums_it_has(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "downloads" / "run", tmp_path / "ran")
    with pytest.raises(ValueError, match=r"no run folder below the results.*--trust-checkpoint"):
        export_checkpoint(checkpoint, tmp_path / "adaptor.safetensors")
    assert not (tmp_path / "ran").exists()


def test_one_that_is_called_trusted_is_read(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "run", tmp_path / "ran")
    with pytest.raises(ValueError, match="holds no adaptor"):
        export_checkpoint(checkpoint, tmp_path / "adaptor.safetensors", trusted=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("results", ["results", "scratch/ours"])
def test_one_below_the_results_of_the_project_is_read_wherever_its_configuration_has_them(
    tmp_path, monkeypatch, results
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(f"scale: mini\nresults: {results}\n")
    checkpoint = write_checkpoint(tmp_path / results / "mini/pretrain/report-1", tmp_path / "ran")
    with pytest.raises(ValueError, match="holds no adaptor"):
        export_checkpoint(checkpoint, tmp_path / "adaptor.safetensors")
    other = write_checkpoint(tmp_path / "elsewhere/mini/pretrain/report-1", tmp_path / "ran elsewhere")
    (tmp_path / results / "mini/pretrain/report-2").symlink_to(other.parents[1])
    for path in (other, tmp_path / results / "mini/pretrain/report-2/checkpoints" / other.name):
        with pytest.raises(ValueError, match="--trust-checkpoint"):
            export_checkpoint(path, tmp_path / "adaptor.safetensors")
    assert not (tmp_path / "ran elsewhere").exists()


def test_a_training_does_not_go_on_from_a_link_to_somewhere_else(tmp_path):
    stranger = write_checkpoint(tmp_path / "stranger", tmp_path / "ran")
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/checkpoints" / stranger.name).symlink_to(stranger)
    with pytest.raises(ValueError, match="outside of its run folder"):
        Checkpoints(tmp_path / "run/checkpoints", 2, "r").latest()


def test_what_is_published_is_safetensors(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "run", tmp_path / "ran")
    with pytest.raises(ValueError, match=r"\.safetensors"):
        export_checkpoint(checkpoint, tmp_path / "adaptor.pt", trusted=True)
    assert not (tmp_path / "ran").exists()
