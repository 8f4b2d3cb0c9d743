"""A small client of Chromium's DevTools protocol: enough to use a page as a visitor does."""

import asyncio
import base64
import json
import subprocess
import time
from pathlib import Path

import aiohttp

from workflow_scripts.report.chromium import find_chromium

PROGRAM = find_chromium()


class Chromium:
    """One browser with one tab; its requests to other hosts than loopback are collected in `elsewhere`."""

    def __init__(self, profile: Path):
        profile.mkdir(parents=True, exist_ok=True)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
        flags += ["--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        flags += ["--force-color-profile=srgb", "--hide-scrollbars", "about:blank"]
        self.process = subprocess.Popen([PROGRAM, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.loop = asyncio.new_event_loop()
        self.number = 0
        self.elsewhere: list[str] = []
        self.problems: list[str] = []
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port_file.exists() and port_file.read_text().count("\n")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Chromium did not start")
            time.sleep(0.1)
        self.loop.run_until_complete(self._connect(port_file.read_text().split()[0]))
        for domain in ("Page", "Runtime", "DOM", "Network"):
            self.send(f"{domain}.enable")

    async def _connect(self, port: str):
        self.session = aiohttp.ClientSession()
        async with self.session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [target for target in await answer.json() if target["type"] == "page"]
        self.socket = await self.session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)

    def close(self):
        async def leave():
            await self.socket.close()
            await self.session.close()

        self.loop.run_until_complete(leave())
        self.loop.close()
        self.process.terminate()
        self.process.wait(20)

    def send(self, method: str, **parameters):
        return self.loop.run_until_complete(self._send(method, parameters))

    async def _send(self, method: str, parameters: dict):
        self.number += 1
        await self.socket.send_str(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads((await self.socket.receive(timeout=60)).data)
            if message.get("method") == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("http://127.0.0.1", "data:", "blob:", "about:")):
                    self.elsewhere.append(url)
            if message.get("method") == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(message["params"]["exceptionDetails"])[:500])
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def size(self, width: int, height: int, phone: bool = False):
        scale = 2 if phone else 1
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )

    def open(self, url: str):
        self.send("Page.navigate", url=url)

    def evaluate(self, expression: str):
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:500])
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60):
        """The first true value of an expression."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                value = self.evaluate(expression)
            except RuntimeError as error:
                if "navigated" not in str(error):  # the next page is on its way
                    raise
                value = None
            if value:
                return value
            assert time.monotonic() < deadline, f"after {seconds} s this is not so: {expression}"
            time.sleep(0.05)

    def click(self, selector: str):
        """A click of the mouse in the middle of an element."""
        self.wait_for(f"!!document.querySelector({json.dumps(selector)})")
        where, before = self._middle(selector), None
        while where != before:  # the page may be scrolling
            time.sleep(0.05)
            where, before = self._middle(selector), where
        x, y = where
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _middle(self, selector: str) -> list[float]:
        return self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )

    def type(self, selector: str, text: str):
        """Put text in place of what stands in a box."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self.send("Input.insertText", text=text)

    def press(self, key: str, code: int):
        extra = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **extra)

    def choose_file(self, selector: str, path: Path):
        document = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def screenshot(self, path: Path, whole: bool = True):
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
