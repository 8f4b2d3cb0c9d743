"""Visitors of a running demo over HTTP: programs that call its endpoints, and pages that join its queue."""

import json
import uuid

import aiohttp


class QueueFull(Exception):
    """The demo takes no more requests for now."""


async def call(session: aiohttp.ClientSession, address: str, endpoint: str, *values):
    """The result of a named endpoint, or RuntimeError with what it says of an error."""
    async with session.post(f"{address}gradio_api/call/{endpoint}", json={"data": list(values)}) as answer:
        if answer.status == 503:
            raise QueueFull
        answer.raise_for_status()
        event = (await answer.json())["event_id"]
    kind = ""
    async with session.get(f"{address}gradio_api/call/{endpoint}/{event}") as stream:
        async for line in stream.content:
            name, _, value = line.decode().strip().partition(": ")
            kind = value if name == "event" else kind
            if name == "data" and kind == "complete":
                return json.loads(value)[0]
            if name == "data" and kind == "error":
                raise RuntimeError(value)
    raise RuntimeError("the stream ended without an answer")


class Page:
    """One open page: a session whose events run in the order in which they were sent."""

    def __init__(self, session: aiohttp.ClientSession, address: str, blocks) -> None:
        self._session, self._address = session, address
        self._hash = uuid.uuid4().hex
        self._events = {function.fn.__name__: number for number, function in blocks.fns.items() if function.fn}

    async def send(self, event: str, *values) -> None:
        body = {"data": list(values), "fn_index": self._events[event], "session_hash": self._hash}
        async with self._session.post(f"{self._address}gradio_api/queue/join", json=body) as answer:
            answer.raise_for_status()

    async def news(self):
        """What the server tells this page; leaving the loop and closing the generator drops the connection."""
        async with self._session.get(f"{self._address}gradio_api/queue/data?session_hash={self._hash}") as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    async def wait(self) -> dict:
        """The last news of what was sent."""
        async for news in self.news():
            if news["msg"] == "process_completed":
                assert news["success"], news
                return news
        raise AssertionError("the server stopped telling")

    async def upload(self, path) -> dict:
        """Put a file on the server, as a component passes it on."""
        form = aiohttp.FormData()
        form.add_field("files", path.read_bytes(), filename=path.name)
        async with self._session.post(f"{self._address}gradio_api/upload", data=form) as answer:
            return {"path": (await answer.json())[0], "meta": {"_type": "gradio.FileData"}}
