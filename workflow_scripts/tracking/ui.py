"""Open MLflow's pages over the runs of a scale, for this machine alone."""

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.command_line import run_command
from workflow_scripts.serving import listen, url_of


def command(database: Path, port: int) -> list[str]:
    """MLflow's own command over a database: on loopback, and known by no other name.

    By itself MLflow takes any name that begins like a private address (10.evil.example) for one.
    """
    hosts = ",".join(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
    from workflow_scripts.tracking.mlflow_store import FILES

    return [
        *(sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)),
        *(
            "--backend-store-uri",
            f"sqlite:///{database}",
            "--artifacts-destination",
            (database.parent / FILES).absolute().as_uri(),
        ),
        *("--allowed-hosts", hosts, "--cors-allowed-origins", f"http://127.0.0.1:{port},http://localhost:{port}"),
        *("--x-frame-options", "DENY"),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="folder of a scale's results")
    parser.add_argument("--port", type=int, default=5000, help="0 for any free one")
    arguments = parser.parse_args(argv)
    database = arguments.results / "mlflow.db"
    with listen("127.0.0.1", arguments.port) as taken:
        port, url = taken.getsockname()[1], url_of(taken)
    if not database.is_file():
        raise ValueError(
            f"{database} does not exist; run the workflow first, or make it from the runs' own files by "
            "`make mlflow-import`."
        )
    from workflow_scripts.tracking.mlflow_store import one_at_a_time, settle

    try:
        with one_at_a_time(f"sqlite:///{database}"):
            settle(database)
    except sqlite3.Error as error:
        raise ValueError(
            f"{database} cannot be read or written ({error}); move it away, and `make mlflow-import` makes another."
        ) from error
    print(f"MLflow: {url} (Ctrl-C stops it)", flush=True)
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # what it has for jobs of its own takes seconds to start
    os.execv(sys.executable, command(database, port))


if __name__ == "__main__":
    run_command(main)
