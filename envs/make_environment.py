"""Write environment.yaml, for `snakemake --sdm conda`, from the same pins as the lock file."""

from pathlib import Path

HERE = Path(__file__).resolve().parent


def conda_environment() -> str:
    """The text of environment.yaml: Python and pip from conda, everything else by pip at the locked versions.

    salesforce-lavis comes without its dependencies from environment.post-deploy.sh, which Snakemake runs afterwards.
    """
    pins = [line.strip() for line in (HERE / "requirements.lock").read_text().splitlines() if line.strip()]
    lines = [
        "# Made by `make environment-files` from requirements.lock; edit that instead.",
        "channels:",
        "  - conda-forge",
        "  - nodefaults",
        "dependencies:",
        "  - python =3.11",
        "  - pip",
        "  - pip:",
        *(f"      - {pin}" for pin in pins),
    ]
    return "\n".join(lines) + "\n"


def post_deploy() -> str:
    """The text of environment.post-deploy.sh: what is installed without dependencies."""
    pins = [
        line.strip()
        for line in (HERE / "without_dependencies.txt").read_text().splitlines()
        if line.strip() and not line.startswith("#")
    ]
    return f"#!/usr/bin/env bash\nset -euo pipefail\npython -m pip install --no-deps {' '.join(pins)}\n"


if __name__ == "__main__":
    (HERE / "environment.yaml").write_text(conda_environment())
    (HERE / "environment.post-deploy.sh").write_text(post_deploy())
