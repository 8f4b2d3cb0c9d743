"""Bring MLflow level with all trainings and evaluations of a scale, as often as you like, also an empty store."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import progress, run_command
from workflow_scripts.config.settings import REPORT
from workflow_scripts.tracking.records import (
    find_evaluations,
    find_trainings,
    read_chain,
    read_evaluation,
    read_training,
)

log = logging.getLogger(__name__)


def import_runs(results: Path, tracking_uri: str, experiment: str) -> int:
    """Import all runs below a scale's results, trainings before the evaluations that hang on them; return their number.

    Raises:
        ValueError: MLflow cannot be reached or written; what was imported until then stays and is not sent twice.
    """
    from workflow_scripts.tracking.mlflow_store import FAILURES, MlflowStore, check_uri

    if not results.is_dir():
        raise ValueError(f"{results} does not exist; run the workflow first.")
    check_uri(tracking_uri)
    trainings, evaluations = find_trainings(results), find_evaluations(results)
    try:
        store = MlflowStore(tracking_uri, experiment)
        records = [read_training(folder) for folder in trainings]
        for name in dict.fromkeys(record.chain for record in records):
            report = results / "report" if name == REPORT else None
            store.bring_level(read_chain(name, [record for record in records if record.chain == name], report))
        for record in progress(records, len(records), "import trainings"):
            store.bring_level(record)
        experiments = {record.tags["run_id"]: record.tags["experiment"] for record in records}
        for path in progress(evaluations, len(evaluations), "import evaluations"):
            record = read_evaluation(path, results, experiments)
            store.bring_level(record)
            store.remove_other("scores", record.tags["scores"], record.key)
    except FAILURES as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"MLflow at {tracking_uri} could not be brought level ({reason}); the runs' own files have everything, so "
            "repeat the import when it works again, or move a damaged database away: the import makes another."
        ) from error
    return len(trainings) + len(evaluations)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of a scale's results")
    parser.add_argument("--tracking-uri", required=True, help="such as sqlite:///results/mlflow.db")
    parser.add_argument("--experiment", required=True, help="MLflow experiment: the scale")
    parser.add_argument("--done", type=Path, help="file to write when everything is imported")
    arguments = parser.parse_args(argv)
    count = import_runs(arguments.results, arguments.tracking_uri, arguments.experiment)
    log.info("%d runs are in %s, experiment %s", count, arguments.tracking_uri, arguments.experiment)
    if arguments.done is not None:
        from workflow_scripts.command_line import write_json

        write_json(arguments.done, {"runs": count, "experiment": arguments.experiment})


if __name__ == "__main__":
    run_command(main)
