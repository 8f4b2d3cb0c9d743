"""Who may run the workflow in a folder. What becomes of SLURM jobs is tested on a cluster, in tests/slurm."""

import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.one_snakemake import take_over

ROOT = Path(__file__).resolve().parents[1]
HOLD = "import sys, time; from pathlib import Path; from workflow_scripts.one_snakemake import take_over; "
HOLD += "take_over(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def test_a_second_snakemake_is_refused_until_the_first_ends_even_by_sigkill(tmp_path):
    first = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=rf"Another Snakemake is at work in {tmp_path} \(process {first.pid} on"):
        take_over(tmp_path)
    first.kill()
    first.communicate()
    take_over(tmp_path)
