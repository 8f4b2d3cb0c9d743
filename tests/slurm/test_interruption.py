"""Trainings on a real cluster that are cut by the wall time, cancelled, or lose their node or their Snakemake."""

import os
import signal
import subprocess
import time

import pytest
from slurm_project import (
    LONG,
    assert_equal,
    ends_of,
    finish,
    jobs_of,
    lines,
    long_for_jobs_of_a_minute,
    pretraining,
    wait_for_step,
)

from workflow_scripts.one_snakemake import take_over

pytestmark = pytest.mark.slurm


@pytest.fixture
def interrupted(project):
    """The project, the folder of the pretraining that is to be interrupted, and the target that asks for it."""
    target = pretraining(**LONG)
    return project, (project.folder / target).parent, target


def test_a_training_cut_by_wall_times_of_a_minute_ends_as_an_uninterrupted_one_in_one_call(
    cluster, reference, interrupted
):
    project, folder, target = interrupted
    long = long_for_jobs_of_a_minute(reference)
    output = project.submit(target, "--set-resources", "train_adaptor:runtime=1", **long)
    assert "Trying to restart job" in output
    jobs = jobs_of(folder)
    assert len(set(jobs)) == len(jobs) >= 2
    assert ends_of(folder) == ["wall_time"] * (len(jobs) - 1) + ["finished"]
    assert {line["node"] for line in lines(folder / "history.jsonl") if line["event"] == "begin"} <= {"node1", "node2"}
    logs = sorted(path.name for path in (folder / "logs").glob("attempt-*.log"))
    assert logs == [f"attempt-{number:04d}.log" for number in range(1, len(jobs) + 1)]
    assert_equal(folder, reference)


def test_jobs_that_a_killed_snakemake_left_are_cancelled_and_others_of_the_folder_are_not(cluster, tmp_path):
    def submit(*options):
        command = ["sbatch", "--parsable", f"--chdir={tmp_path}", "--mem=100", "--output=/dev/null", *options]
        script = "trap 'echo saved > saved.$SLURM_JOB_ID; exit 0' TERM; sleep 600 & wait"
        done = subprocess.run([*command, "--wrap", script], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    left, own = submit("--comment=rule_train_adaptor"), submit()
    while states().get(left) != "RUNNING":
        time.sleep(0.1)
    take_over(tmp_path, alone=True)
    assert (tmp_path / f"saved.{left}").exists()
    assert states()[own] in ("PENDING", "RUNNING")
    subprocess.run(["scancel", own], check=True)


def states():
    done = subprocess.run(["squeue", "--noheader", "--format=%i %T"], capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.long
def test_a_cancelled_job_is_submitted_again_and_goes_on(cluster, reference, interrupted):
    project, folder, target = interrupted
    snakemake = project.start_submission(target, **LONG)
    wait_for_step(snakemake, folder, 300)
    subprocess.run(["scancel", jobs_of(folder)[0]], check=True)
    finish(snakemake)
    assert ends_of(folder) == ["SIGTERM", "finished"]
    assert len(set(jobs_of(folder))) == 2
    assert_equal(folder, reference)


@pytest.mark.long
def test_a_killed_snakemake_is_followed_by_another_that_ends_its_jobs_and_goes_on(cluster, reference, interrupted):
    project, folder, target = interrupted
    snakemake = project.start_submission(target, **LONG)
    wait_for_step(snakemake, folder, 300)
    snakemake.kill()
    snakemake.communicate()
    output = project.submit(target, **LONG)
    assert "left of a Snakemake that ended" in output
    assert ends_of(folder) == ["SIGTERM", "finished"]
    assert_equal(folder, reference)


@pytest.mark.long
def test_a_second_snakemake_in_the_same_folder_is_refused(cluster, interrupted):
    project, folder, target = interrupted
    snakemake = project.start_submission(target, **LONG)
    wait_for_step(snakemake, folder, 1)
    output = project.submit(target, succeeds=False, **LONG)
    assert f"Another Snakemake is at work in {project.folder} (process {snakemake.pid} on" in output
    snakemake.send_signal(signal.SIGINT)
    snakemake.communicate(timeout=120)
    assert ends_of(folder) == ["SIGTERM"]


@pytest.mark.long
def test_a_training_whose_node_is_lost_goes_on_on_another(cluster, reference, interrupted):
    project, folder, target = interrupted
    snakemake = project.start_submission(target, **LONG)
    wait_for_step(snakemake, folder, 300)
    node = lines(folder / "history.jsonl")[-1]["node"]
    process = int((cluster / f"run/slurmd.{node}.pid").read_text())
    try:
        os.kill(process, signal.SIGKILL)
        finish(snakemake)
    finally:
        subprocess.run(["slurmd", "-N", node], check=True)
    assert_equal(folder, reference)
