import json
import logging
import shutil

import pytest

from workflow_scripts.training.checkpoint import Checkpoints


def save(checkpoints, step, content=b"weights"):
    partial = checkpoints.begin(step)
    with checkpoints.guarded(partial):
        (partial / "model.pt").write_bytes(content)
        checkpoints.commit(partial, {"step": step})
    return checkpoints.folder / partial.name.removeprefix(".")


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints", keep=3, run="abc")


def test_the_last_few_are_kept(checkpoints):
    for step in range(1, 6):
        save(checkpoints, step)
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [f"step-{n:09d}" for n in (3, 4, 5)]
    assert checkpoints.latest().state == {"step": 5}


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "no record", "half a record"])
def test_a_damaged_one_is_reported_and_the_one_before_it_is_used(checkpoints, damage, caplog):
    save(checkpoints, 1)
    last = save(checkpoints, 2)
    data = (last / "model.pt").read_bytes()
    if damage == "cut":
        (last / "model.pt").write_bytes(data[:3])
    elif damage == "flipped":
        (last / "model.pt").write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif damage == "missing":
        (last / "model.pt").unlink()
    elif damage == "no record":
        (last / "checkpoint.json").unlink()
    else:
        record = (last / "checkpoint.json").read_text()
        (last / "checkpoint.json").write_text(record[: len(record) // 2])
    with caplog.at_level(logging.WARNING):
        assert checkpoints.latest().state == {"step": 1}
    assert "step-000000002 is damaged" in caplog.text
    assert (checkpoints.folder / "damaged-step-000000002").exists()


def test_what_was_half_written_is_gone_at_the_next_start(checkpoints):
    save(checkpoints, 1)
    (checkpoints.begin(2) / "model.pt").write_bytes(b"half")
    again = Checkpoints(checkpoints.folder, keep=3, run="abc")
    assert again.latest().state == {"step": 1}
    assert [path.name for path in again.folder.iterdir()] == ["step-000000001"]


def test_a_checkpoint_of_another_run_or_of_a_newer_format_is_refused(checkpoints):
    folder = save(checkpoints, 1)
    with pytest.raises(ValueError, match=r"belongs to another run \(abc, not xyz\)"):
        Checkpoints(checkpoints.folder, keep=3, run="xyz").latest()
    record = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(record | {"format": 99}))
    with pytest.raises(ValueError, match="checkpoint format 99, this code knows 1"):
        checkpoints.latest()
    assert folder.exists()


def test_no_space_left_keeps_the_last_good_one_and_says_how_much_is_missing(checkpoints, monkeypatch):
    save(checkpoints, 1, b"x" * 1000)
    total = shutil.disk_usage(checkpoints.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: total._replace(free=100))
    with pytest.raises(OSError, match=r"so [\d,]+ are missing. step-000000001 is kept"):
        checkpoints.begin(2)
    assert checkpoints.latest().state == {"step": 1}


def test_a_write_that_fails_halfway_keeps_the_last_good_one(checkpoints):
    save(checkpoints, 1)
    partial = checkpoints.begin(2)

    def write():
        with checkpoints.guarded(partial):
            (partial / "model.pt").write_bytes(b"half")
            raise RuntimeError("[enforce fail] No space left on device")

    with pytest.raises(OSError, match=r"No space left.*step-000000001 is kept"):
        write()
    assert not partial.exists()
    assert checkpoints.latest().state == {"step": 1}


def test_a_process_that_is_lost_while_saving_is_not_taken_for_a_full_disk(checkpoints):
    save(checkpoints, 1)
    partial = checkpoints.begin(2)
    said = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]: Connection reset by peer"
    with pytest.raises(RuntimeError, match="Connection reset by peer"), checkpoints.guarded(partial):
        raise RuntimeError(said)
    assert not partial.exists()
    assert checkpoints.latest().state == {"step": 1}
