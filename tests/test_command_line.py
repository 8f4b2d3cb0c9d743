"""What all commands share: errors as one sentence, files whole or not at all, progress in a log."""

import subprocess
import sys

import pytest

from workflow_scripts.command_line import read_json, write_atomically, write_json

SENTENCE = """
from workflow_scripts.command_line import run_command
def main():
    raise ValueError("The file x.json is empty; run filter_pairs again.")
run_command(main)
"""
PROGRESS = """
from workflow_scripts.command_line import progress
assert list(progress(range(3), total=3, label="samples")) == [0, 1, 2]
"""
LIMITED = """
import resource, signal
from pathlib import Path
from workflow_scripts.command_line import run_command, write_atomically
def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    write_atomically(Path("kept.json"), "x" * 2000)
run_command(main)
"""


def python(code, folder):
    return subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, capture_output=True)


@pytest.fixture(autouse=True)
def import_path(monkeypatch):
    from pathlib import Path

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent.parent))


def test_an_error_of_the_user_is_one_sentence_and_exit_code_1(tmp_path):
    done = python(SENTENCE, tmp_path)
    assert done.returncode == 1
    assert "error: The file x.json is empty; run filter_pairs again." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_traceback_can_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKFLOW_TRACEBACK", "1")
    assert "Traceback" in python(SENTENCE, tmp_path).stderr


def test_progress_in_a_log_is_plain_lines(tmp_path):
    done = python(PROGRESS, tmp_path)
    assert done.returncode == 0
    assert "samples" in done.stderr
    assert "3/3" in done.stderr
    assert "\r" not in done.stderr


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_no_rest(tmp_path):
    (tmp_path / "kept.json").write_text("old")
    done = python(LIMITED, tmp_path)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "kept.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "kept.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_a_missing_json_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.json does not exist"):
        read_json(tmp_path / "nothing.json")


def test_a_damaged_json_file_is_named(tmp_path):
    write_atomically(tmp_path / "half.json", '{"a": ')
    with pytest.raises(ValueError, match=r"half\.json is not valid JSON"):
        read_json(tmp_path / "half.json")


def test_json_never_holds_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not (tmp_path / "x.json").exists()
