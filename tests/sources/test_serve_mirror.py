import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

SERVE = [sys.executable, "-m", "workflow_scripts.sources.serve_mirror"]
READ = "import os,urllib.request as u; print(u.urlopen(os.environ['MIRROR_URL']+'/host/a.txt').read().decode())"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "web" / "host").mkdir(parents=True)
    (tmp_path / "web" / "host" / "a.txt").write_text("0123456789")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "web"


def test_the_command_sees_the_mirror_and_its_exit_code_is_ours(root):
    command = [*SERVE, "--root", str(root), "--", sys.executable, "-c", f"{READ}; raise SystemExit(7)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (7, "0123456789\n")


def test_the_folder_may_be_named_by_the_environment(root):
    environment = {**os.environ, "MIRROR_FOLDER": str(root)}
    command = [*SERVE, "--", sys.executable, "-c", READ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (0, "0123456789\n")


def test_a_busy_port_is_one_sentence(root):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        done = subprocess.run(
            [*SERVE, "--root", str(root), "--port", port, "--", "true"], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_goes_on_to_the_command(root, tmp_path):
    script = "import signal,sys,time;signal.signal(signal.SIGTERM,lambda *a: sys.exit(3));"
    script += "print('up',flush=True);time.sleep(60)"
    process = subprocess.Popen(
        [*SERVE, "--root", str(root), "--", sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"
    started = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=30) == 3
    assert time.monotonic() - started < 10


def test_a_missing_command_and_a_missing_folder_are_sentences(root, tmp_path):
    done = subprocess.run([*SERVE, "--root", str(root), "--", "no-such-command"], capture_output=True, text=True)
    assert (done.returncode, "no-such-command" in done.stderr) == (1, True)
    done = subprocess.run([*SERVE, "--root", str(tmp_path / "no"), "--", "true"], capture_output=True, text=True)
    assert (done.returncode, "does not exist" in done.stderr) == (1, True)
    environment = {key: value for key, value in os.environ.items() if key != "MIRROR_FOLDER"}
    done = subprocess.run([*SERVE, "--", "true"], capture_output=True, text=True, env=environment)
    assert (done.returncode, "--root, or MIRROR_FOLDER, names it" in done.stderr) == (1, True)


def ask(path, **headers):
    request = urllib.request.Request(f"{os.environ['MIRROR_URL']}/{path}", headers=headers)
    with urllib.request.urlopen(request) as response:
        return response.status, response.read(), response.headers


def test_ranges_and_etags_let_a_download_resume(root, serve):
    serve(root)
    status, body, headers = ask("host/a.txt")
    assert (status, body, headers["Accept-Ranges"]) == (200, b"0123456789", "bytes")
    tag = headers["ETag"]
    status, body, headers = ask("host/a.txt", Range="bytes=4-", **{"If-Range": tag})
    assert (status, body, headers["Content-Range"]) == (206, b"456789", "bytes 4-9/10")
    assert ask("host/a.txt", Range="bytes=-3")[1] == b"789"
    assert ask("host/a.txt", Range="bytes=2-3")[1] == b"23"
    assert ask("host/a.txt", Range="bytes=4-", **{"If-Range": '"another version"'})[:2] == (200, b"0123456789")
    with pytest.raises(urllib.error.HTTPError, match="416"):
        ask("host/a.txt", Range="bytes=10-")


def test_links_of_the_mirror_are_followed_and_one_that_leads_nowhere_is_named(root, tmp_path, serve):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "b.txt").write_text("elsewhere")
    (root / "linked").symlink_to("../disk")
    (root / "host" / "c.txt").symlink_to("../../disk/b.txt")
    (root / "unmounted").symlink_to("/nowhere/at all")
    serve(root)
    assert ask("linked/b.txt")[1] == ask("host/c.txt")[1] == b"elsewhere"
    with pytest.raises(urllib.error.HTTPError, match="404: Not Found"):
        ask("linked/../secret.txt")
    with pytest.raises(urllib.error.HTTPError, match="404: unmounted, a link to /nowhere/at all, leads nowhere"):
        ask("unmounted/a.txt")


def test_a_file_that_the_mirror_may_not_read_is_refused_for_good(root, serve, monkeypatch):
    serve(root)

    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(urllib.error.HTTPError, match=r"403: it cannot be read there \(Permission denied\)"):
        ask("host/a.txt")


@pytest.mark.parametrize(
    "path", ["../secret.txt", "host/../../secret.txt", "%2e%2e/secret.txt", "host", "host/b.txt", "%00"]
)
def test_nothing_outside_the_root_is_served(root, serve, path):
    serve(root)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        ask(path)
