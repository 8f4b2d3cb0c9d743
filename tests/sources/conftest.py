import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workflow_scripts.miniature.web import FaultyWeb, make_handler
from workflow_scripts.sources.child import start_server


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FaultyWeb]]:
    """Serve a folder with faults and point MIRROR_URL at it; returns the handler, which records what was asked."""
    servers = []

    def start(root: Path, faults: dict[str, str] | None = None) -> FaultyWeb:
        handler = make_handler(root, faults or {})
        handler.log = []

        def answer(self, with_body, _original=handler.answer):
            handler.log.append((self.command, self.path.lstrip("/"), self.headers.get("Range")))
            _original(self, with_body)

        handler.answer = answer
        server = start_server(handler, 0)
        servers.append((server, handler))
        monkeypatch.setenv("MIRROR_URL", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        return handler

    yield start
    for server, handler in servers:
        handler.closing.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def rows(tmp_path: Path) -> Callable[[list[dict]], Path]:
    """Write a catalogue with one data set `things` and return its path."""

    def write(files: list[dict]) -> Path:
        source = {"title": "Things", "licence": "none", "citation": "nobody", "files": files}
        path = tmp_path / f"rows-{len(list(tmp_path.glob('rows-*')))}.yaml"
        path.write_text(json.dumps({"data_sets": {"things": source}, "models": {"model": source}}))
        return path

    return write
