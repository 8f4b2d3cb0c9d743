"""The demo's own process and the files that it keeps while it runs."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_files_lie_in_a_folder_of_the_user_alone_which_is_gone_at_the_end(tiny_results, tmp_path, free_port):
    command = [sys.executable, "-m", "workflow_scripts.demo.app", "--results", str(tiny_results)]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    process = subprocess.Popen([*command, "--port", str(free_port)], cwd=ROOT, env=environment)
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{free_port}").close()
                break
            except urllib.error.URLError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
        (folder,) = tmp_path.glob("demo-*")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        process.send_signal(signal.SIGTERM)
        process.wait(300)
        assert not list(tmp_path.glob("demo-*"))
    finally:
        process.kill()
        process.wait()
