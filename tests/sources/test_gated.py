"""Models that are given to some only: without a token, with one that has no access, and with one that has."""

import json
from http.server import BaseHTTPRequestHandler

import pytest

from workflow_scripts.sources import fetch_models
from workflow_scripts.sources.child import start_server

PAGE = "https://huggingface.co/meta-llama/Llama-2-7b-chat-hf"


@pytest.fixture
def hub(monkeypatch):
    """A server that gives a file to the token `good` only; yields its address and the tokens that it saw."""
    seen = []

    class Hub(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            allowed = seen[-1] == "Bearer good"
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Length", "2" if allowed else "0")
            self.end_headers()
            if allowed:
                self.wfile.write(b"{}")

    monkeypatch.delenv("MIRROR_URL", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = start_server(Hub, 0)
    yield f"http://127.0.0.1:{server.server_address[1]}", seen
    server.shutdown()
    server.server_close()


def fetch(tmp_path, address, **more):
    model = {
        "title": "LLaMA-2-7b-chat",
        "licence": "Llama 2 Community License",
        "citation": "Touvron et al.",
        "gated": PAGE,
        "files": [{"name": "config.json", "url": f"{address}/config.json"}],
        **more,
    }
    rows = tmp_path / "rows.yaml"
    rows.write_text(json.dumps({"data_sets": {}, "models": {"llama": model}}))
    fetch_models.main(["--model", "llama", "--output", str(tmp_path / "llama"), "--catalogue", str(rows)])
    return tmp_path / "llama"


def test_without_a_token_one_sentence_says_where_to_get_it_and_nothing_is_asked(tmp_path, hub):
    address, seen = hub
    with pytest.raises(ValueError, match=f"accept its licence at {PAGE}: .*export it as HF_TOKEN"):
        fetch(tmp_path, address)
    assert not seen
    assert not (tmp_path / "llama").exists()


def test_a_token_without_access_is_refused_once_with_the_page_to_ask_at(tmp_path, hub, monkeypatch):
    address, seen = hub
    monkeypatch.setenv("HF_TOKEN", "bad")
    with pytest.raises(ValueError, match=f"HTTP status 403: the token has no access; ask for it.* at {PAGE}") as error:
        fetch(tmp_path, address)
    assert seen == ["Bearer bad"]
    assert "bad" not in str(error.value)


def test_a_token_with_access_fetches_and_no_file_knows_it(tmp_path, hub, monkeypatch):
    address, _ = hub
    monkeypatch.setenv("HF_TOKEN", "good")
    folder = fetch(tmp_path, address, chat_template="{{ messages }}")
    assert (folder / "config.json").read_bytes() == b"{}"
    assert (folder / "chat_template.jinja").read_text() == "{{ messages }}"
    assert not any(b"good" in path.read_bytes() for path in folder.iterdir())


def test_a_mirror_is_given_no_token(tmp_path, hub, monkeypatch):
    address, seen = hub
    monkeypatch.setenv("HF_TOKEN", "good")
    monkeypatch.setenv("MIRROR_URL", address)
    with pytest.raises(ValueError, match="could not be fetched"):
        fetch(tmp_path, "https://huggingface.co")
    assert seen == [None]
