"""What every job of the workflow finds in its environment."""

import os
import sys
from pathlib import Path


def prepare_job_environment(project: Path) -> None:
    """Let jobs find the Python that runs Snakemake and the package, and silence third-party warnings.

    So `python -m workflow_scripts...` means the same whether or not the environment was activated, and wherever
    `snakemake --directory` puts the job. A conda environment of a rule is activated later and still comes first.
    """
    _put_first("PATH", Path(sys.executable).parent)
    _put_first("PYTHONPATH", project)
    os.environ.setdefault("PYTHONWARNINGS", "ignore")


def _put_first(variable: str, folder: Path) -> None:
    others = [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry and entry != str(folder)]
    os.environ[variable] = os.pathsep.join([str(folder), *others])
