"""The live view of a training in MLflow, as a process of its own, so that nothing in it can hold the training up."""

import logging
import os
import subprocess
import sys
from pathlib import Path

log = logging.getLogger(__name__)
PATIENCE_SECONDS = 10
# Importing MLflow takes seconds of a processor: a training that is over by then is left to the import.
DELAY_SECONDS = float(os.environ.get("WORKFLOW_MIRROR_DELAY", "30"))


class MirrorProcess:
    """Starts a process that follows a run folder's files and brings MLflow level with them every few seconds.

    It runs at the lowest priority and writes to `logs/mlflow.log`. A server that is down, a locked database or a full
    disk are its own business: it warns, tries again, and what is missing in the end a later import completes.
    """

    def __init__(self, run_folder: Path, tracking_uri: str, experiment: str) -> None:
        command = [sys.executable, "-m", "workflow_scripts.tracking.mlflow_mirror"]
        command += ["--run-folder", str(run_folder), "--tracking-uri", tracking_uri, "--experiment", experiment]
        command += ["--parent", str(os.getpid()), "--delay", str(DELAY_SECONDS)]
        self._process: subprocess.Popen[bytes] | None = None
        try:
            (run_folder / "logs").mkdir(exist_ok=True)
            with open(run_folder / "logs" / "mlflow.log", "ab") as output:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
        except OSError as error:
            log.warning("MLflow does not follow this training (%s); import it afterwards", error)

    def close(self) -> None:
        """Give the process a moment for the last metrics, then end it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            if self._process.wait(PATIENCE_SECONDS):
                log.warning("MLflow did not get everything (logs/mlflow.log says why); an import completes it")
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            log.warning("MLflow was too slow for the last metrics; an import completes it")
