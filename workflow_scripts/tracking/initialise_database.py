"""Make MLflow's tables and an experiment once, before several processes open the store at the same time."""

import argparse
from collections.abc import Sequence

from workflow_scripts.command_line import run_command


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracking-uri", required=True, help="such as sqlite:///results/mlflow.db")
    parser.add_argument("--experiment", required=True, help="MLflow experiment: the scale")
    arguments = parser.parse_args(argv)
    from workflow_scripts.tracking.mlflow_store import FAILURES, MlflowStore, check_uri

    check_uri(arguments.tracking_uri)
    try:
        MlflowStore(arguments.tracking_uri, arguments.experiment)
    except FAILURES as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"MLflow's store {arguments.tracking_uri} cannot be opened: {reason}") from error


if __name__ == "__main__":
    run_command(main)
