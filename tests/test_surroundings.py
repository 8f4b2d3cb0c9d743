"""A proxy for the web, and a home folder that cannot be written."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from workflow_scripts.surroundings import give_caches_a_place, never_through_a_proxy

ROOT = Path(__file__).resolve().parents[1]
ASK = """
import sys
import workflow_scripts
import httpx, requests, urllib.request
url = sys.argv[1]
print(requests.get(url).text, httpx.get(url).text, urllib.request.urlopen(url).read().decode())
"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ours")

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_library_asks_a_proxy_for_this_machine(host):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    environment = {k: v for k, v in os.environ.items() if k.lower() != "no_proxy"} | proxy
    done = subprocess.run(
        [sys.executable, "-c", ASK, f"http://{host}:{server.server_port}"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    server.shutdown()
    server.server_close()
    assert done.stdout == "ours ours ours\n", done.stderr[-2000:]


def test_what_a_user_keeps_from_proxies_stays_so():
    environment = {"NO_PROXY": "intern.example,.lab", "no_proxy": "10.0.0.1"}
    never_through_a_proxy(environment)
    never_through_a_proxy(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"]
    assert environment["no_proxy"].split(",") == ["10.0.0.1", "intern.example", ".lab", "localhost", "127.0.0.1", "::1"]


@pytest.mark.parametrize("home", ["/dev/null/x", "/proc/nowhere"])
def test_caches_have_a_place_of_their_user_alone_where_the_home_cannot_be_written(home, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment = {"HOME": home}
    give_caches_a_place(environment)
    place = Path(environment["XDG_CACHE_HOME"])
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o777 == 0o700
    assert Path(environment["HF_HOME"]).parent == Path(environment["MPLCONFIGDIR"]).parent == place


def test_a_home_that_can_be_written_and_what_a_user_chose_are_left_alone(tmp_path):
    environment = {"HOME": str(tmp_path)}
    give_caches_a_place(environment)
    assert environment == {"HOME": str(tmp_path)}
    environment = {"HOME": "/dev/null/x", "XDG_CACHE_HOME": str(tmp_path / "caches")}
    give_caches_a_place(environment)
    assert environment["XDG_CACHE_HOME"] == str(tmp_path / "caches")


@pytest.mark.slow
def test_snakemake_starts_without_a_home_in_the_environment_that_make_made(tmp_path):
    venv = tmp_path / "venv"
    packages = venv / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (venv / ".installed").touch()
    subprocess.run(["make", f"VENV={venv}", f"{packages}/image_search_surroundings.pth"], cwd=ROOT, check=True)
    program = f"import site; site.addsitedir({str(packages)!r}); from snakemake.cli import main; main()"
    for name in ("Snakefile", "config.yaml", "rules", "scales", "catalogue", "expected", "envs", "workflow_scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-c", program, "--cores", "1", "--until", "publish", "--config", "scale=tiny"],
        cwd=tmp_path,
        env=os.environ | {"HOME": "/dev/null/x", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert list(tmp_path.glob("results/tiny/**/published.json"))
    assert list(tmp_path.glob("image-search-caches-*"))
