import json
import threading

import pytest

from workflow_scripts.identity import sha256_of_file
from workflow_scripts.revision import git_revision
from workflow_scripts.tracking.recorder import read_lines
from workflow_scripts.training.run_folder import RunFolder

DEFINITION = {
    "identity": {"name": "report"},
    "settings": {"epochs": 1},
    "samples": "s1",
    "features": [],
    "language_model": "l1",
    "initial_adaptor": None,
    "code_digest": "c1",
}


def reopen(path, **changes):
    return RunFolder(path, DEFINITION | changes)


def finish(path):
    folder = reopen(path)
    (path / "completed").mkdir()
    (path / "completed" / "adaptor.safetensors").write_bytes(b"weights")
    digest = sha256_of_file(path / "completed" / "adaptor.safetensors")
    folder.complete({"run_id": "x", "adaptor_sha256": digest})
    return folder


def test_a_finished_training_is_published_again_after_its_outputs_were_deleted(tmp_path):
    finish(tmp_path)
    (tmp_path / "adaptor.safetensors").unlink()
    (tmp_path / "run.json").unlink()
    again = reopen(tmp_path)
    assert again.is_finished
    again.publish()
    assert (tmp_path / "adaptor.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("changes", [{"code_digest": "c2"}, {"samples": "s2"}, {"language_model": "l2"}])
def test_a_finished_training_of_other_code_or_data_is_set_aside(tmp_path, changes):
    finish(tmp_path)
    (tmp_path / "metrics.jsonl").write_text("old\n")
    folder = reopen(tmp_path, **changes)
    assert not folder.is_finished
    assert not (tmp_path / "metrics.jsonl").exists()
    assert (tmp_path / "superseded" / "1" / "metrics.jsonl").read_text() == "old\n"
    assert json.loads((tmp_path / "superseded" / "1" / "run.json").read_text())["run_id"] == "x"


def test_an_interruption_while_setting_aside_is_finished_by_the_next_start(tmp_path):
    finish(tmp_path)
    (tmp_path / "definition.json").unlink()  # the last thing to be moved before `completed`
    assert not reopen(tmp_path, samples="s2").is_finished
    assert (tmp_path / "superseded" / "1" / "completed" / "run.json").exists()


def test_a_damaged_result_is_not_taken_for_finished(tmp_path):
    finish(tmp_path)
    (tmp_path / "completed" / "adaptor.safetensors").write_bytes(b"weighty")
    assert not reopen(tmp_path).is_finished


def test_another_identity_or_other_settings_are_refused_finished_or_not(tmp_path):
    reopen(tmp_path / "a")
    with pytest.raises(ValueError, match=r"another identity \(name: 'report' there, 'other' asked\)"):
        reopen(tmp_path / "a", identity={"name": "other"})
    finish(tmp_path / "b")
    with pytest.raises(ValueError, match=r"another settings \(epochs: 1 there, 2 asked\)"):
        reopen(tmp_path / "b", settings={"epochs": 2})


def test_an_unfinished_training_refuses_other_data_and_goes_on_with_other_code(tmp_path):
    reopen(tmp_path)
    (tmp_path / "checkpoints" / "step-000000004").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"had other data \(samples changed since\)"):
        reopen(tmp_path, samples="s2")
    assert not reopen(tmp_path, code_digest="c2").is_finished


def test_a_training_without_a_checkpoint_yet_takes_other_data(tmp_path):
    reopen(tmp_path)
    reopen(tmp_path, samples="s2")
    assert json.loads((tmp_path / "definition.json").read_text())["samples"] == "s2"


def test_two_trainings_do_not_share_a_folder(tmp_path):
    first = reopen(tmp_path)
    with pytest.raises(ValueError, match="Another training is at work"):
        reopen(tmp_path)
    assert first.path == tmp_path


def test_an_automatic_repetition_waits_for_the_attempt_that_is_still_at_work(tmp_path):
    held = [reopen(tmp_path)]
    release = threading.Timer(0.5, held.clear)
    release.start()
    assert RunFolder(tmp_path, DEFINITION, attempt=2).path == tmp_path
    assert not held


def test_the_history_tells_of_a_killed_attempt(tmp_path):
    folder = reopen(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 7}\n')
    assert folder.begin_attempt(0, 1) == 1
    assert folder.begin_attempt(4, 2) == 2
    folder.end_attempt(2, 9, "wall_time")
    assert folder.begin_attempt(9, 2) == 3
    lines = read_lines(tmp_path / "history.jsonl")
    assert [(line["event"], line["attempt"]) for line in lines] == [
        ("begin", 1), ("end", 1), ("begin", 2), ("end", 2), ("begin", 3),
    ]  # fmt: skip
    assert (lines[1]["reason"], lines[1]["to_step"]) == ("killed", 7)
    assert (lines[2]["from_step"], lines[2]["world_size"]) == (4, 2)
    assert lines[4]["git_revision"] == git_revision()


@pytest.mark.parametrize(
    ("attempts", "kept", "stands_still"),
    [
        ([(0, "wall_time")], 0, False),
        ([(0, "wall_time"), (0, "wall_time")], 0, True),
        ([(0, "wall_time"), (0, "wall_time")], 4, False),
        ([(4, "wall_time"), (4, "lost_process")], 4, True),
        ([(0, "wall_time"), (4, "wall_time")], 4, False),
        ([(4, "SIGTERM"), (4, "wall_time")], 4, False),
    ],
)
def test_two_early_ends_that_kept_no_step_stand_still(tmp_path, attempts, kept, stands_still):
    folder = reopen(tmp_path)
    for from_step, reason in attempts:
        folder.end_attempt(folder.begin_attempt(from_step, 1), from_step, reason)
    if kept:
        (tmp_path / "checkpoints" / f"step-{kept:09d}").mkdir(parents=True)
    assert folder.stands_still() is stands_still


def killed_attempt(path, from_step, while_saving):
    """What an attempt leaves behind that was killed, maybe while it wrote a checkpoint."""
    reopen(path).begin_attempt(from_step, 1)
    (path / "checkpoints").mkdir(exist_ok=True)
    for partial in (path / "checkpoints").glob(".step-*"):
        partial.rmdir()
    if while_saving:
        (path / "checkpoints" / f".step-{from_step + 3:09d}").mkdir()


@pytest.mark.parametrize(("second", "stands_still"), [(True, True), (False, False)])
def test_two_attempts_that_were_killed_while_they_saved_and_kept_no_step_stand_still(tmp_path, second, stands_still):
    for while_saving in (True, second):
        killed_attempt(tmp_path, 0, while_saving)
    folder = reopen(tmp_path)
    folder.end_killed_attempt()
    ends = [line["while_saving"] for line in read_lines(tmp_path / "history.jsonl") if line["event"] == "end"]
    assert ends == [True, second]
    assert folder.stands_still() is stands_still


def test_an_automatic_repetition_meets_the_error_at_once_and_a_person_may_try_again(tmp_path):
    reopen(tmp_path).record_failure("The loss became nan.")
    with pytest.raises(ValueError, match=r"not repeated: The loss became nan\."):
        RunFolder(tmp_path, DEFINITION, attempt=2)
    RunFolder(tmp_path, DEFINITION, attempt=1)
    RunFolder(tmp_path, DEFINITION, attempt=2)
