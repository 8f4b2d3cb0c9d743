"""MLflow's pages as `make mlflow` opens them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

sys.path.insert(0, str(Path(__file__).parent))

from test_import_runs import import_elsewhere, make_training

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def test_pages_are_for_this_machine_alone_and_show_what_was_copied_with_them(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    make_training(old)
    import_elsewhere(old, f"sqlite:///{old}/mlflow.db")
    shutil.move(old, new)
    command = [sys.executable, "-m", "workflow_scripts.tracking.ui", "--results", str(new), "--port", "0"]
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | proxy, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        address = next(line for line in process.stdout if line.startswith("MLflow: ")).split()[1]
        deadline = time.monotonic() + 180
        while True:
            try:
                assert requests.get(address, timeout=60).status_code == 200
                break
            except requests.ConnectionError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.3)
        for host in ("evil.example", "10.evil.example", "192.168.evil.example:5000", "172.16.evil.example"):
            assert requests.get(address, headers={"Host": host}, timeout=60).status_code == 403
        api = f"{address}/ajax-api/2.0/mlflow"
        (run,) = [
            run
            for run in requests.post(f"{api}/runs/search", json={"experiment_ids": ["1"]}, timeout=60).json()["runs"]
            if not run["info"]["run_name"].startswith("experiment")
        ]
        files = requests.get(f"{api}/artifacts/list?run_id={run['info']['run_id']}", timeout=60).json()["files"]
        assert [file["path"] for file in files] == ["adaptor"]
        post = requests.post(
            f"{api}/runs/search", json={"experiment_ids": ["1"]}, headers={"Origin": "http://evil.example"}, timeout=60
        )
        assert post.status_code == 403
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)
    assert not old.exists()


def test_without_a_database_it_says_how_to_make_one(tmp_path):
    command = [sys.executable, "-m", "workflow_scripts.tracking.ui", "--results", str(tmp_path), "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "make mlflow-import" in done.stderr
    assert "Traceback" not in done.stderr
