"""The demo as a process of its own, as other sites, proxies and names of hosts find it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def address(tiny_results):
    """The page's address, with a proxy for the web in the environment that answers nobody."""
    command = [sys.executable, "-m", "workflow_scripts.demo.app", "--results", str(tiny_results), "--port", "0"]
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    environment = {key: value for key, value in os.environ.items() if key.lower() != "no_proxy"} | proxy
    process = subprocess.Popen(
        [*command, "--allowed-hosts", "demo.example.org"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        line = next(line for line in process.stdout if line.startswith("the demo: "))
        yield line.split()[2]
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
        process.wait()


PLACES = ("", "config", "gradio_api/info", "gradio_api/heartbeat/abc", "theme.css", "nowhere")


@pytest.mark.parametrize("place", PLACES)
def test_another_name_of_the_host_is_not_answered(address, place):
    answer = requests.get(address + place, headers={"Host": "evil.example"}, timeout=60)
    assert answer.status_code == 400
    assert "--allowed-hosts" in answer.text


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:8080"])
def test_another_origin_is_refused_and_gets_no_leave_to_read(address, origin):
    ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answers = [requests.get(address + place, headers={"Origin": origin}, timeout=60) for place in PLACES]
    answers += [requests.options(address + "gradio_api/call/search", headers=ask, timeout=60)]
    body = {"data": ["a cat"]}
    answers += [requests.post(address + "gradio_api/call/search", json=body, headers=ask, timeout=60)]
    for answer in answers:
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_its_own_page_is_answered_with_headers_that_keep_it_to_itself(address):
    answer = requests.get(address, headers={"Origin": address.rstrip("/")}, timeout=60)
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_behind_a_proxy_the_page_and_its_api_are_answered_under_its_name(address):
    headers = {"Host": "demo.example.org", "X-Forwarded-Proto": "https", "Origin": "https://demo.example.org"}
    page = requests.get(address, headers=headers, timeout=60)
    assert page.status_code == 200
    assert "https://demo.example.org" in page.text
    call = address + "gradio_api/call/search"
    event = requests.post(call, json={"data": ["a cat"]}, headers=headers, timeout=60).json()["event_id"]
    assert "event: complete" in requests.get(f"{call}/{event}", headers=headers, timeout=120).text
