"""A real MLflow server that can be killed and started again."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil


def wait_for(condition, seconds, complaint):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.5)


class Server:
    """An MLflow server on loopback over the database `mlflow.db` of a folder."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        variables = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=variables)
        wait_for(self.answers, 300, "the server does not answer")

    def answers(self):
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self):
        """SIGKILL the server and its workers, if it is there."""
        if self.process is None:
            return
        family = psutil.Process(self.process.pid)
        for member in [*family.children(recursive=True), family]:
            member.kill()
        self.process.wait(60)
        self.process = None
