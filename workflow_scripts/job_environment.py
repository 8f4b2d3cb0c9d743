"""What every job of the workflow finds in its environment."""

import os
from pathlib import Path


def prepare_job_environment(project: Path) -> None:
    """Let jobs import the package from wherever `snakemake --directory` puts them, and silence third-party warnings."""
    paths = [str(project), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
