"""What may be wrong with what a training finds: each a clear error, nothing lost, through the command of a user."""

import gc
import json
import re
import shutil

import numpy as np
import pytest

from workflow_scripts.identity import sha256_of_file
from workflow_scripts.tracking.recorder import read_lines
from workflow_scripts.training import wall_time


@pytest.fixture(scope="module")
def finished(trainer, tmp_path_factory):
    """An uninterrupted training, for reading only."""
    return trainer.here(tmp_path_factory.mktemp("finished") / "run")


@pytest.fixture(scope="module")
def interrupted(trainer, tmp_path_factory):
    """A training that stopped after ten of its steps, with the checkpoints of steps 8 and 10; for copying only."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    with pytest.MonkeyPatch.context() as patch:
        looks = iter(range(1000))
        patch.setattr(wall_time.Deadline, "reached", lambda self: next(looks) == 10)
        with pytest.raises(SystemExit):
            trainer.here(folder)
    assert checkpoints(folder) == ["step-000000008", "step-000000010"]
    return folder


@pytest.fixture
def run(interrupted, tmp_path):
    return shutil.copytree(interrupted, tmp_path / "run")


def checkpoints(folder):
    return sorted(path.name for path in (folder / "checkpoints").glob("*step-*"))


def weights(folder):
    return (folder / "adaptor.safetensors").read_bytes()


def damage(path, how):
    data = path.read_bytes()
    if how == "cut in half":
        path.write_bytes(data[: len(data) // 2])
    else:
        place = len(data) // 2
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])


@pytest.mark.parametrize("how", ["cut in half", "a flipped byte"])
@pytest.mark.parametrize("steps", [(10,), (8, 10)])
def test_a_training_with_damaged_checkpoints_ends_as_if_nothing_had_happened(
    trainer, run, finished, how, steps, caplog
):
    for step in steps:
        for path in (run / "checkpoints" / f"step-{step:09d}").glob("*.pt"):
            damage(path, how)
    trainer.here(run)
    assert weights(run) == weights(finished)
    begins = [line["from_step"] for line in read_lines(run / "history.jsonl") if line["event"] == "begin"]
    assert begins == [0, 8 if steps == (10,) else 0]
    for step in steps:
        assert f"step-{step:09d} is damaged" in caplog.text
        assert f"damaged-step-{step:09d}" in checkpoints(run)


def test_a_checkpoint_of_another_run_is_refused_and_left_alone(trainer, run, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        looks = iter(range(1000))
        patch.setattr(wall_time.Deadline, "reached", lambda self: next(looks) == 11)
        with pytest.raises(SystemExit):
            trainer.here(tmp_path / "other", {"seed": 5})
    shutil.copytree(tmp_path / "other" / "checkpoints" / "step-000000011", run / "checkpoints" / "step-000000011")
    before = checkpoints(run)
    with pytest.raises(ValueError, match=r"step-000000011 belongs to another run .* move it away"):
        trainer.here(run)
    assert checkpoints(run) == before


def test_a_checkpoint_of_a_newer_format_is_refused_and_left_alone(trainer, run, finished):
    record = run / "checkpoints" / "step-000000010" / "checkpoint.json"
    content = record.read_text()
    record.write_text(json.dumps(json.loads(content) | {"format": 99}))
    with pytest.raises(ValueError, match=r"checkpoint format 99, this code knows \d+ and older; use the newer code"):
        trainer.here(run)
    record.write_text(content)
    trainer.here(run)
    assert weights(run) == weights(finished)


@pytest.fixture
def own_features(trainer, tmp_path):
    """A copy of the features that a test may damage."""
    return shutil.copytree(trainer.world / "features" / "set", tmp_path / "features" / "set")


def test_a_missing_feature_shard_is_named_and_the_training_goes_on_once_it_is_back(
    trainer, run, own_features, finished
):
    shard = own_features / "query_output-00001.npy"
    shard.rename(own_features / "elsewhere")
    with pytest.raises(ValueError, match=r"query_output-00001\.npy is missing although the manifest lists it; extract"):
        trainer.here(run, features=own_features)
    assert checkpoints(run) == ["step-000000008", "step-000000010"]
    (own_features / "elsewhere").rename(shard)
    trainer.here(run, features=own_features)
    assert weights(run) == weights(finished)


def test_features_of_another_extractor_do_not_go_into_a_training_that_began(trainer, run, own_features):
    manifest = json.loads((own_features / "manifest.json").read_text())
    (own_features / "manifest.json").write_text(json.dumps(manifest | {"extractor_sha256": "y"}))
    with pytest.raises(ValueError, match=r"had other data \(features changed since\)"):
        trainer.here(run, features=own_features)
    assert checkpoints(run) == ["step-000000008", "step-000000010"]


def test_a_shard_of_another_extractor_is_named_before_a_training_begins(trainer, own_features, tmp_path):
    path = own_features / "query_output-00001.npy"
    np.save(path, np.load(path)[::-1])  # of the same shape: only its checksum tells
    with pytest.raises(ValueError, match=r"query_output-00001\.npy is damaged \(its checksum is not the manifest's\)"):
        trainer.here(tmp_path / "run", features=own_features)
    assert checkpoints(tmp_path / "run") == []


def make_broken(features):
    """Features of image set/007 that are no numbers; three of the sixty samples ask about it at most."""
    path = features / "query_output-00000.npy"
    values = np.load(path)
    values[7] = np.nan
    np.save(path, values)
    manifest = json.loads((features / "manifest.json").read_text())
    for shard in manifest["shards"]:
        shard["sha256"] = sha256_of_file(features / shard["file"])
    (features / "manifest.json").write_text(json.dumps(manifest))


def test_features_that_are_no_numbers_stop_the_training_at_their_step_and_name_the_samples(
    trainer, own_features, tmp_path
):
    make_broken(own_features)
    settings = {"checkpoint_every": 1, "log_every": 1, "keep_checkpoints": 100}
    with pytest.raises(
        ValueError, match=r"loss became nan at step \d+, from: (s\d+ \(image set/007\)(, )?)+\. "
    ) as error:
        trainer.here(tmp_path / "run", settings, features=own_features)
    step = int(str(error.value).split("at step ")[1].split(",")[0])
    names = [f"step-{number:09d}" for number in range(1, step + 1)]
    assert checkpoints(tmp_path / "run") == names
    assert len(read_lines(tmp_path / "run" / "metrics.jsonl")) == step


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_all_processes_stop_at_a_loss_that_is_no_number_and_name_the_samples_of_one(
    trainer, own_features, tmp_path, stage
):
    make_broken(own_features)
    settings = {"checkpoint_every": 1, "log_every": 1, "keep_checkpoints": 100, "zero_stage": stage}
    code, output = trainer.command(tmp_path / "run", settings, processes=2, features=own_features)
    assert code not in (0, 75), output
    error = json.loads((tmp_path / "run" / "failure.json").read_text())["error"]
    assert re.search(r"loss became nan at step \d+, from: (s\d+ \(image set/\d+\)(, )?)+\. ", error)
    assert "(image set/007)" in error
    # At stage 3 no process can look at a sample alone: the whole batch is named.
    assert set(re.findall(r"image set/(\d+)", error)) == {"007"} or stage == 3
    step = int(re.search(r"at step (\d+)", error).group(1))
    assert checkpoints(tmp_path / "run") == [f"step-{number:09d}" for number in range(1, step + 1)]


def fill(folder, leave):
    """Fill the file system of a folder up to some free bytes."""
    with open(folder / "filler", "wb") as stream:
        stream.write(b"x" * (shutil.disk_usage(folder).free - leave))
    assert shutil.disk_usage(folder).free <= leave


@pytest.mark.parametrize(
    ("leave", "message"), [(12_288, r"[\d,]+ are missing"), (40_960, r"bytes are free|are missing")]
)
def test_a_disk_that_is_full_keeps_the_last_checkpoint_and_says_what_is_missing(
    trainer, interrupted, finished, small_disk, leave, message
):
    run = shutil.copytree(interrupted, small_disk / "run")
    fill(small_disk, leave)
    settings = {"checkpoint_every": 1, "keep_checkpoints": 100}
    with pytest.raises(OSError, match=message) as error:
        trainer.here(run, settings)
    assert "is kept" in str(error.value)
    del error  # its traceback holds the run folder, and with it the folder's lock
    gc.collect()
    assert {"step-000000008", "step-000000010"} <= set(checkpoints(run))
    (small_disk / "filler").unlink()
    trainer.here(run, settings)
    assert weights(run) == weights(finished)
