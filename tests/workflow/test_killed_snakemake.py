"""Snakemake is killed in the middle of a job, and the same command goes on, as `make reproduce` gives it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
PUBLISH = "publish"


def start(project):
    """Begin with the miniature world, which takes some seconds."""
    # From the Makefile: only cores and targets differ.
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--rerun-incomplete", "--config", "scale=tiny"]
    command += ["--until", PUBLISH]
    return subprocess.Popen(command, cwd=project.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def stop_first_job(project, process):
    """Wait until the job's program is at work and hold it there; returns its process."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                here = (path / "cwd").resolve() == project.folder.resolve()
                if here and b"workflow_scripts.miniature.publish\0" in (path / "cmdline").read_bytes():
                    if b"-c" in (path / "cmdline").read_bytes().split(b"\0"):
                        continue
                    os.kill(int(path.name), signal.SIGSTOP)
                    return int(path.name)
        time.sleep(0.02)
    raise AssertionError("no job began")


def test_after_sigkill_the_same_command_goes_on_and_what_the_killed_one_left_at_work_ends(untouched):
    process = start(untouched)
    job = stop_first_job(untouched, process)
    process.kill()
    process.wait()
    assert list((untouched.folder / ".snakemake/locks").iterdir())
    second = start(untouched)
    output, _ = second.communicate(timeout=300)
    assert second.returncode == 0, output
    assert "The locks of a Snakemake that was killed" in output
    assert "programs are left of a Snakemake that was killed" in output
    assert not Path(f"/proc/{job}").exists()
    assert list((untouched.folder / "results/tiny").glob("**/published.json"))


def test_a_second_one_on_the_same_files_is_refused_as_long_as_the_first_is_at_work(untouched):
    process = start(untouched)
    job = stop_first_job(untouched, process)
    try:
        second = start(untouched)
        output, _ = second.communicate(timeout=120)
        assert second.returncode != 0
        assert "LockException" in output
    finally:
        os.kill(job, signal.SIGCONT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def test_in_a_folder_that_cannot_be_written_one_sentence_says_what_to_do(untouched):
    records = untouched.folder / ".snakemake"
    records.write_text("no folder, as root may write into any that is one")
    output = untouched.snakemake(succeeds=False)
    assert "which cannot be written" in output
    assert f"ln -s {untouched.folder}/* ." in output
    assert "Traceback" not in output
