"""What every page that we serve shares: its port, which hosts and sites it answers, and its headers.

A server on loopback is reached by every web page that its user visits. One whose name its owner lets point to 127.0.0.1
(DNS rebinding) could read it all, and any could post to it; so hosts are known ones, and other sites are refused.
"""

import argparse
import ipaddress
import platform
import re
import socket
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:  # commands that serve nothing need no Starlette
    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")
_NAME = re.compile(r"[\w.-]+|[0-9a-f:]+")
_PORTS = {"http": 80, "https": 443}
# On every answer; a page says by its own policy what it loads.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "same-origin",  # with no-referrer, a browser hides the origin of our own forms too
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Take a port before anything else is done; ValueError that says what to do where it cannot be had."""
    bare = host.removeprefix("[").removesuffix("]")
    if not 0 <= port <= 65535:
        raise ValueError(f"There is no port {port}; choose one from 1 to 65535 by --port, or 0 for any free one.")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ValueError(
            f"There is no address {host!r} to serve on ({error.strerror}); choose another --host."
        ) from error
    taken = socket.socket(family, kind, protocol)
    try:
        # Connections of a server that has just ended hold nobody up; another server on the port is still an error.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(place)
        taken.listen(128)
    except OSError as error:
        taken.close()
        raise ValueError(
            f"Port {port} on {host} cannot be used ({error.strerror}); choose another one by --port, or 0 for any free "
            "one."
        ) from error
    return taken


def url_of(taken: socket.socket) -> str:
    """The address at which a browser on this machine reaches a server."""
    host, port = taken.getsockname()[:2]
    host = "127.0.0.1" if host in _EVERYWHERE else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def add_allowed_hosts(parser: argparse.ArgumentParser) -> None:
    """Add the option that names more hosts under which a server is asked for its page."""
    parser.add_argument(
        "--allowed-hosts",
        nargs="+",
        metavar="NAME",
        default=[],
        help="more names under which browsers may ask for the page, such as that of the proxy before it",
    )


def names_of_hosts(words: Iterable[str]) -> list[str]:
    """The names in the words of --allowed-hosts, which may be separated by commas too; ValueError for what is none."""
    names = []
    for name in (part.strip().lower() for word in words for part in word.split(",")):
        if not name:
            continue
        found = _split(f"//{name}")
        if found is None or not _NAME.fullmatch(found.hostname or ""):
            raise ValueError(f"--allowed-hosts takes names of hosts, such as demo.example.org, and {name!r} is none.")
        names.append(found.hostname)
    return names


class Guard:
    """Lets requests through to an application that ask for a known host and are not sent by other sites' pages.

    Starlette's TrustedHostMiddleware would do for names; it has no word for addresses, nor for the way out.

    Args:
        app: the application.
        host: the address that it is served on; None where any name will do.
        allowed: more names of it. A proxy before it has these; then pages at them are its own, at any port and by
            any scheme, since a proxy need not say how it was asked itself.
        policy: the Content-Security-Policy of its pages.
        answers_itself: paths at which the application answers what another site sends; `scope["foreign"]`
            says why it is one's.
    """

    def __init__(
        self,
        app: "ASGIApp",
        host: str | None,
        policy: str,
        allowed: Sequence[str] = (),
        answers_itself: Collection[str] = (),
    ) -> None:
        self._app = app
        self._any = host is None
        self._open = host is not None and not is_loopback(host)
        self._allowed = frozenset(allowed)
        own = {platform.node().lower(), socket.getfqdn().lower(), host.lower()} if host and self._open else set()
        self._known = frozenset({*LOOPBACK, *allowed, *own})
        self._answers_itself = frozenset(answers_itself)
        self._headers = {**HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        from starlette.datastructures import Headers
        from starlette.responses import PlainTextResponse

        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        status, reason = 400, self._unknown_host(headers)
        if not reason:
            status, reason = 403, self._foreign(scope, headers)
            if reason and scope["path"] in self._answers_itself:
                scope, reason = {**scope, "foreign": reason}, ""
        if not reason:
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            await PlainTextResponse(reason + "\n", status)(scope, receive, self._with_headers(send))

    def _with_headers(self, send: "Send") -> "Send":
        from starlette.datastructures import MutableHeaders

        async def send_with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return send_with_headers

    def _unknown_host(self, headers: "Headers") -> str:
        """Why a request is not for us; nothing where it is."""
        asked = [headers.get("host", ""), *_forwarded(headers)]
        unknown = [name for name in asked if not self._is_known(name)]
        if self._any or not unknown:
            return ""
        return (
            f"Nobody is known here as {unknown[0][:100] or 'nothing'}; if this is a name of this page, start its "
            "server with --allowed-hosts and the name."
        )

    def _is_known(self, asked: str) -> bool:
        found = _split(f"//{asked}")
        if found is None or not found.hostname:
            return False
        # An address needs no name that somebody else could let point here.
        return found.hostname in self._known or (self._open and _is_address(found.hostname))

    def _foreign(self, scope: "Scope", headers: "Headers") -> str:
        """Why a request is another site's; nothing where it is our own page's, or where somebody follows a link."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None:
            # No page can write Sec-Fetch-Site itself, and it is right behind any proxy.
            own = site == "same-origin" or self._is_own(origin, scope, headers)
            return "" if own else f"This was sent from another site ({origin[:100]}) than the page's own."
        by_link = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") in ("GET", "HEAD")
        if site in (None, "same-origin", "none") or (by_link and headers.get("sec-fetch-dest") == "document"):
            return ""
        return "This was asked for by another site than the page's own."

    def _is_own(self, origin: str, scope: "Scope", headers: "Headers") -> bool:
        """Whether an origin is the page's own: what was asked for, here or of a proxy, or a name that was allowed."""
        page = _split(origin)
        if page is None or page.scheme not in _PORTS or not page.hostname:
            return False
        if page.hostname in self._allowed:
            return True
        schemes = {scope["scheme"], headers.get("x-forwarded-proto", "")}
        asked = [_split(f"//{name}") for name in (headers.get("host", ""), *_forwarded(headers))]
        return any(
            one is not None
            and one.hostname == page.hostname
            and (one.port or _PORTS[page.scheme]) == (page.port or _PORTS[page.scheme])
            and (one.port is not None or page.scheme in schemes)
            for one in asked
        )


def _forwarded(headers: "Headers") -> list[str]:
    """The hosts that proxies say they were asked for."""
    return [name.strip() for line in headers.getlist("x-forwarded-host") for name in line.split(",")]


def _split(url: str) -> SplitResult | None:
    """The parts of an address; None where it is none."""
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        return None
    return None if found.username or found.path or found.query or found.fragment else found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
