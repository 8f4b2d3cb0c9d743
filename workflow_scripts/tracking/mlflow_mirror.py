"""Follow one training and keep MLflow level with its files, until the training ends or asks to stop."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command

log = logging.getLogger(__name__)
SECONDS = 5.0


def follow(run_folder: Path, tracking_uri: str, experiment: str, parent: int, delay: float) -> bool:
    """Bring MLflow level every few seconds after a delay; return whether it was level at the end.

    A training that ends within the delay is left to the import, and nothing is wrong about that.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    started = time.monotonic()
    while time.monotonic() < started + delay:
        if stop.wait(min(delay, 1.0)) or os.getppid() != parent:
            return True
    # A store that does not answer must not keep a request for long: the next one follows soon.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    from workflow_scripts.tracking.mlflow_store import MlflowStore
    from workflow_scripts.tracking.records import read_training

    store = None
    while True:
        ending = stop.is_set() or os.getppid() != parent
        try:
            store = store or MlflowStore(tracking_uri, experiment)
            store.bring_level(read_training(run_folder))
            level = True
        except Exception as error:  # whatever it is, it is MLflow's trouble and not the training's
            log.warning("MLflow is behind: %s: %s", type(error).__name__, str(error).splitlines()[:1])
            level = False
        if ending:
            return level
        stop.wait(SECONDS)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the arguments and follow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-folder", type=Path, required=True)
    parser.add_argument("--tracking-uri", required=True)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--parent", type=int, required=True, help="process id of the training")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before MLflow is imported")
    arguments = parser.parse_args(argv)
    os.nice(15)
    level = follow(
        arguments.run_folder, arguments.tracking_uri, arguments.experiment, arguments.parent, arguments.delay
    )
    sys.exit(0 if level else 1)


if __name__ == "__main__":
    run_command(main)
