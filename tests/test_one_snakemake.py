"""Who may run the workflow in a folder. What becomes of SLURM jobs is tested on a cluster, in tests/slurm."""

import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.one_snakemake import take_over

ROOT = Path(__file__).resolve().parents[1]
HOLD = "import sys, time; from pathlib import Path; from workflow_scripts.one_snakemake import take_over; "
HOLD += "take_over(Path(sys.argv[1]), bool(int(sys.argv[2]))); print('held', flush=True); time.sleep(60)"


def hold(folder, alone):
    command = [sys.executable, "-c", HOLD, folder, str(int(alone))]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("first_alone", "second_alone"), [(True, True), (True, False), (False, True)])
def test_a_second_snakemake_is_refused_until_the_first_ends_even_by_sigkill(tmp_path, first_alone, second_alone):
    first = hold(tmp_path, first_alone)
    assert first.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=rf"Another Snakemake is at work in {tmp_path} \(process {first.pid} on"):
        take_over(tmp_path, second_alone)
    first.kill()
    first.communicate()
    second = hold(tmp_path, second_alone)
    assert second.stdout.readline() == "held\n"
    second.kill()
    second.communicate()


def test_those_that_leave_the_locking_of_files_to_snakemake_work_side_by_side(tmp_path):
    first = hold(tmp_path, alone=False)
    assert first.stdout.readline() == "held\n"
    second = hold(tmp_path, alone=False)
    assert second.stdout.readline() == "held\n"
    for process in (first, second):
        process.kill()
        process.communicate()
