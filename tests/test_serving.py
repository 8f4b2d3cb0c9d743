"""Which requests a page answers, and how a port is taken."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from workflow_scripts.serving import Guard, listen, names_of_hosts, url_of

ROOT = Path(__file__).resolve().parents[1]
POLICY = "default-src 'none'; frame-ancestors 'none'"


def client(host="127.0.0.1", allowed=()):
    return TestClient(Guard(PlainTextResponse("our page"), host, POLICY, allowed), base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "127.0.0.1", "[::1]:7860", "LOCALHOST"])
def test_on_loopback_its_names_are_known(host):
    assert client().get("/", headers={"Host": host}).text == "our page"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "192.168.1.2", "", "a@localhost", "x:y:z"]
)
def test_on_loopback_other_names_are_not_which_ends_dns_rebinding(host):
    answer = client().get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "--allowed-hosts" in answer.text
    assert "our page" not in answer.text


def test_what_other_machines_reach_is_known_by_its_addresses_and_by_the_names_that_were_given():
    one = client("0.0.0.0", ["demo.example.org"])
    for host in ("192.168.1.2:7860", "[fe80::1]:7860", "demo.example.org", "localhost", socket.gethostname()):
        assert one.get("/", headers={"Host": host}).status_code == 200
    assert one.get("/", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:8080", "http://localhost:7860", "https://127.0.0.1"]
)
def test_another_origin_is_refused_whatever_it_asks_for_and_gets_no_leave_to_read(method, origin):
    answer = client().request(method, "/", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert answer.status_code == 403
    assert "another site" in answer.text
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://127.0.0.1:7860"},
        {"Origin": "http://localhost:7860", "Host": "localhost:7860"},
        {"Origin": "http://[::1]:7860", "Host": "[::1]:7860"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
def test_our_own_page_and_one_who_follows_a_link_are_answered(headers):
    assert client().get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_a_picture_or_a_frame_of_another_site_is_refused(headers):
    assert client().get("/", headers={"Sec-Fetch-Site": "cross-site", **headers}).status_code == 403


PUBLIC = {"Origin": "https://survey.example.org"}


@pytest.mark.parametrize(
    "forwarded",
    [
        {"Host": "survey.example.org", "X-Forwarded-Proto": "https"},
        {"Host": "survey.example.org"},
        {"X-Forwarded-Host": "survey.example.org", "X-Forwarded-Proto": "https"},
        {},  # nginx's proxy_pass alone
    ],
)
def test_behind_a_proxy_a_page_of_an_allowed_name_is_our_own_and_any_other_is_not(forwarded):
    one = client(allowed=["survey.example.org"])
    assert one.post("/", headers={**PUBLIC, **forwarded}).status_code == 200
    assert one.post("/", headers={**forwarded, "Origin": "https://evil.example"}).status_code == 403


def test_a_forwarded_host_has_to_be_known_as_well():
    assert client().get("/", headers={"X-Forwarded-Host": "evil.example"}).status_code == 400


def test_behind_a_proxy_that_says_nothing_a_browser_says_that_a_page_is_its_own():
    assert client().post("/", headers={**PUBLIC, "Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client().post("/", headers={**PUBLIC, "Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_every_answer_has_the_headers_that_keep_it_out_of_other_sites_also_a_refusal():
    for headers in ({}, {"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        answer = client().get("/", headers=headers)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"


def test_allowed_hosts_are_names():
    assert names_of_hosts(["a.example,B.example:8443", "c"]) == ["a.example", "b.example", "c"]
    for wrong in ("*", "*.example.org", "https://a.example", "a.example/path", "a b"):
        with pytest.raises(ValueError, match="names of hosts"):
            names_of_hosts([wrong])


def test_a_busy_port_is_said_with_the_way_out_and_a_free_one_is_found():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert url_of(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(ValueError, match=rf"Port {port} on 127\.0\.0\.1 cannot be used .*--port"):
            listen("127.0.0.1", port)
    listen("127.0.0.1", port).close()


def test_a_port_or_a_host_that_there_is_not_is_said():
    with pytest.raises(ValueError, match=r"no port 70000.*--port"):
        listen("127.0.0.1", 70000)
    with pytest.raises(ValueError, match="--host"):
        listen("no.such.host.invalid", 0)


@pytest.mark.parametrize(
    "command",
    [
        ["workflow_scripts.demo.app", "--results", "nowhere"],
        ["workflow_scripts.tracking.ui", "--results", "nowhere"],
        ["workflow_scripts.survey.serve", "--survey", "nowhere", "--responses", "nowhere"],
    ],
)
def test_a_server_looks_at_its_port_before_anything_else(command):
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", *command, "--port", port], cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 1
    assert f"error: Port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
