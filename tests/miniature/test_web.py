import io
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from PIL import Image, ImageFile

from workflow_scripts.miniature.web import FAULTS, make_handler
from workflow_scripts.sources.child import start_server


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A web with one picture for every fault, and one without."""
    root = tmp_path_factory.mktemp("world") / "web"
    (root / "host").mkdir(parents=True)
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(stream, "JPEG", quality=95)
    for name in (*FAULTS, "good"):
        (root / "host" / f"{name}.jpg").write_bytes(stream.getvalue())
    faults = {f"host/{name}.jpg": name for name in FAULTS}
    (root.parent / "faults.json").write_text(json.dumps(faults))
    handler = make_handler(root, faults)
    server = start_server(handler, 0)
    yield f"http://127.0.0.1:{server.server_address[1]}/host", stream.getvalue(), root
    handler.closing.set()
    server.shutdown()
    server.server_close()


def get(address, name, timeout=5.0):
    with urllib.request.urlopen(f"{address}/{name}.jpg", timeout=timeout) as response:
        return response.read(), response.headers.get_content_type()


@pytest.mark.parametrize(("name", "status"), [("404", 404), ("410", 410), ("500", 500)])
def test_statuses(web, name, status):
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError) as raised:
            get(web[0], name)
        assert raised.value.code == status


@pytest.mark.parametrize(("name", "failures"), [("500_once", 1), ("500_twice", 2)])
def test_some_recover(web, name, failures):
    for _ in range(failures):
        with pytest.raises(urllib.error.HTTPError, match="500"):
            get(web[0], name)
    assert get(web[0], name) == (web[1], "image/jpeg")


def test_a_page_comes_in_the_place_of_a_picture(web):
    content, kind = get(web[0], "html")
    assert kind == "text/html"
    assert content.startswith(b"<!DOCTYPE html>")


def test_a_truncated_picture_looks_like_a_whole_answer(web, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)  # LAVIS sets it for all of a process
    content, kind = get(web[0], "truncated")
    assert (content, kind) == (web[1][: len(web[1]) // 2], "image/jpeg")
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(content)).load()


def test_an_oversized_picture_is_small_as_a_file(web):
    content, _ = get(web[0], "oversized")
    assert len(content) < 2_000_000
    assert Image.open(io.BytesIO(content)).size == (9000, 9000)


def test_a_hanging_connection_says_nothing(web):
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        get(web[0], "hang", timeout=0.4)
    assert time.monotonic() - started >= 0.4


def test_a_slow_link_comes_in_the_end(web):
    started = time.monotonic()
    assert get(web[0], "slow")[0] == web[1]
    assert time.monotonic() - started >= 0.25


def test_a_connection_is_cut_off_in_the_middle(web):
    for _ in range(2):
        with pytest.raises(Exception, match="IncompleteRead"):
            get(web[0], "cut_off")
    with pytest.raises(Exception, match="IncompleteRead"):
        get(web[0], "cut_off_once")
    assert get(web[0], "cut_off_once")[0] == web[1]


def test_everything_else_is_well_even_while_others_hang(web):
    with socket.create_connection(tuple_of(web[0])) as idle:
        idle.sendall(b"GET /host/hang.jpg HTTP/1.1\r\nHost: x\r\n\r\n")
        assert get(web[0], "good") == (web[1], "image/jpeg")


def tuple_of(address):
    host, port = address.split("/")[2].split(":")
    return host, int(port)


def command(root, *more):
    return [sys.executable, "-m", "workflow_scripts.miniature.web", "--root", str(root), *more]


def test_the_command_beside_it_sees_the_faults(web):
    script = (
        "import os,urllib.request as u,urllib.error\n"
        "base=os.environ['MIRROR_URL']+'/host/'\n"
        "print(len(u.urlopen(base+'good.jpg').read()))\n"
        "try: u.urlopen(base+'410.jpg')\n"
        "except urllib.error.HTTPError as error: raise SystemExit(error.code-400)"
    )
    done = subprocess.run(
        command(web[2], "--", sys.executable, "-c", script), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (10, f"{len(web[1])}\n")


def test_a_busy_port_a_missing_root_and_an_unknown_fault_are_sentences(web, tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        done = subprocess.run(command(web[2], "--port", port, "--", "true"), capture_output=True, text=True)
        assert (done.returncode, f"Port {port} on 127.0.0.1 cannot be used" in done.stderr) == (1, True)
    done = subprocess.run(command(tmp_path / "none", "--", "true"), capture_output=True, text=True)
    assert (done.returncode, "run miniature.publish first" in done.stderr) == (1, True)
    faults = tmp_path / "faults.json"
    faults.write_text('{"host/a.jpg": "418"}')
    done = subprocess.run(command(web[2], "--faults", str(faults), "--", "true"), capture_output=True, text=True)
    assert (done.returncode, "unknown fault '418'" in done.stderr) == (1, True)
