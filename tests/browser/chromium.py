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
# Long, since a machine may have much else to do; nothing that works as it should waits for its end.
_PATIENCE_SECONDS = 180
# What is said where a page gives way to the next one.
_ON_ITS_WAY = ("navigated", "execution context", "context with specified id")

# Finds an element by {expression}, brings it into view, and tells where its middle is once it is seen.
_MIDDLE = """(() => {{
  const wanted = {expression};
  if (!wanted) return null;
  wanted.scrollIntoView({{block: 'center', behavior: 'instant'}});
  const box = wanted.getBoundingClientRect();
  return box.width && box.height ? [box.x + box.width / 2, box.y + box.height / 2] : null;
}})()"""
# Lets a press of the mouse pass to this element alone: a page that moves brings others under the mouse.
_AIM = """(() => {{
  const wanted = {expression};
  if (!wanted) return false;
  window.aimOfTheTest?.end();
  const aim = window.aimOfTheTest = {{wanted, pressed: false, clicked: false}};
  const kinds = ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'];
  const watch = event => {{
    const hit = wanted.contains(event.target);
    aim.pressed ||= hit && event.type === 'mousedown';
    aim.clicked ||= hit && event.type === 'click';
    if (!hit && !aim.pressed) {{ event.stopImmediatePropagation(); event.preventDefault(); }}
  }};
  kinds.forEach(kind => window.addEventListener(kind, watch, true));
  aim.end = () => kinds.forEach(kind => window.removeEventListener(kind, watch, true));
  return true;
}})()"""
# Whether it was felt: also by what leaves at the press, as an option of a list does, and with its page.
_FELT = """(() => {
  const aim = window.aimOfTheTest;
  if (!aim) return true;
  aim.end();
  const leaves = !aim.wanted.isConnected || !!aim.wanted.closest('[inert]');
  return aim.clicked || (aim.pressed && leaves);
})()"""


class PageGone(RuntimeError):
    """The page gives way to another one."""


class Chromium:
    """One browser with one tab; its requests to other hosts than loopback are collected in `elsewhere`."""

    def __init__(self, profile: Path):
        profile.mkdir(parents=True, exist_ok=True)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]
        flags += ["--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        # Pages that were left would keep their connections, of which a browser opens six to one server.
        flags += ["--disable-features=BackForwardCache"]
        flags += ["--force-color-profile=srgb", "--hide-scrollbars", "about:blank"]
        self.process = subprocess.Popen([PROGRAM, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.loop = asyncio.new_event_loop()
        self.number = 0
        self.elsewhere: list[str] = []
        self.problems: list[str] = []
        port_file = profile / "DevToolsActivePort"
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (port_file.exists() and port_file.read_text().count("\n")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Chromium did not start")
            time.sleep(0.1)
        self.loop.run_until_complete(self._connect(port_file.read_text().split()[0], deadline))
        for domain in ("Page", "Runtime", "DOM", "Network", "Log"):
            self.send(f"{domain}.enable")

    async def _connect(self, port: str, deadline: float):
        self.session = aiohttp.ClientSession()
        pages: list[dict] = []
        while not pages:  # the tab comes a little later than the port
            assert time.monotonic() < deadline, "Chromium opened no tab"
            async with self.session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [target for target in await answer.json() if target["type"] == "page"]
            await asyncio.sleep(0 if pages else 0.1)
        self.socket = await self.session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)

    def close(self):
        async def leave():
            await self.socket.close()
            await self.session.close()

        self.loop.run_until_complete(leave())
        self.loop.close()
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def send(self, method: str, **parameters):
        return self.loop.run_until_complete(self._send(method, parameters))

    async def _send(self, method: str, parameters: dict):
        self.number += 1
        await self.socket.send_str(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads((await self.socket.receive(timeout=_PATIENCE_SECONDS)).data)
            if message.get("method") == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("http://127.0.0.1", "data:", "blob:", "about:")):
                    self.elsewhere.append(url)
            if message.get("method") == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(message["params"]["exceptionDetails"])[:500])
            if message.get("method") == "Log.entryAdded" and "Content Security Policy" in str(message["params"]):
                self.problems.append(json.dumps(message["params"]["entry"])[:500])
            if message.get("id") == self.number:
                if "error" in message:
                    gone = any(words in message["error"]["message"] for words in _ON_ITS_WAY)
                    raise (PageGone if gone else RuntimeError)(f"{method}: {message['error']}")
                return message["result"]

    def size(self, width: int, height: int, phone: bool = False):
        scale = 2 if phone else 1
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )

    def open(self, url: str):
        """Go to an address; afterwards nothing of the page before is there any more."""
        self.evaluate("window.leftByTheTest = true")
        result = self.send("Page.navigate", url=url)
        assert "errorText" not in result, f"{url} cannot be opened: {result['errorText']}"
        if "loaderId" in result:  # otherwise it is another place in the same page
            self.wait_for("!window.leftByTheTest")

    def evaluate(self, expression: str):
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:500])
        return result["result"].get("value")

    def wait_for(self, expression: str, seconds: float = _PATIENCE_SECONDS):
        """The first true value of an expression."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                value = self.evaluate(expression)
            except PageGone:
                value = None
            if value:
                return value
            assert time.monotonic() < deadline, f"after {seconds} s this is not so: {expression}"
            time.sleep(0.05)

    def click(self, selector: str):
        """Click an element with the mouse."""
        self.click_what(f"document.querySelector({json.dumps(selector)})")

    def click_what(self, expression: str):
        """Click with the mouse what an expression finds, again and again until the page has felt it."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.try_to_click(expression):
            assert time.monotonic() < deadline, f"after {_PATIENCE_SECONDS} s this cannot be clicked: {expression}"
            time.sleep(0.05)

    def try_to_click(self, expression: str) -> bool:
        """Press the mouse in the middle of what an expression finds, if it is there; whether that felt the click."""
        where, before = self.evaluate(_MIDDLE.format(expression=expression)), None
        while where != before:  # the page may be moving
            time.sleep(0.05)
            where, before = self.evaluate(_MIDDLE.format(expression=expression)), where
        if where is None or not self.evaluate(_AIM.format(expression=expression)):
            return False
        x, y = where
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        try:
            return self.evaluate(_FELT)
        except PageGone:
            return True

    def type(self, selector: str, text: str):
        """Put text in place of what stands in a box."""
        box = f"document.querySelector({json.dumps(selector)})"
        self.click(selector)
        self.evaluate(f"{box}.focus(); {box}.select()")
        self.send("Input.insertText", text=text)
        self.wait_for(f"{box}.value === {json.dumps(text)}")

    def press(self, key: str, code: int):
        extra = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **extra)

    def choose_file(self, selector: str, path: Path):
        element = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{element}")
        found = self.send("Runtime.evaluate", expression=element)["result"]
        self.send("DOM.setFileInputFiles", objectId=found["objectId"], files=[str(path)])

    def screenshot(self, path: Path, whole: bool = True):
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
