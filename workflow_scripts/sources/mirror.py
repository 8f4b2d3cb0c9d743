"""Send requests for any host to a mirror of the web, where the environment names one.

A mirror is a server whose first folder is the host: `http://images.cocodataset.org/a.zip` is
`$MIRROR_URL/images.cocodataset.org/a.zip`. Nothing else in the workflow knows of it: files and manifests hold the
original addresses.
"""

import os
import urllib.error
import urllib.request
from urllib.parse import quote, urlsplit

# Everything that may stand in an address; letters of other scripts and blanks, which people write too, are escaped.
_SAFE = "%/:=&?~#+!$,;'@()*[]"


def rewrite_url(url: str) -> str:
    """Return the address at which to ask for a URL: on the mirror if MIRROR_URL is set, else the URL itself.

    Hosts under `.invalid` stay as they are: by RFC 6761 there is no route to them anywhere.
    """
    mirror = os.environ.get("MIRROR_URL", "").rstrip("/")
    parts = urlsplit(url)
    if not mirror or parts.scheme not in ("http", "https") or (parts.hostname or "").endswith(".invalid"):
        return url
    if url.startswith(mirror + "/"):
        return url
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror}/{parts.netloc}{parts.path or '/'}{query}"


class MirrorHandler(urllib.request.BaseHandler):
    """Rewrites the requests of urllib, redirects included."""

    handler_order = 100  # before the handlers that derive the Host header from the address

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        """Rewrite one request in place; a host under `.invalid` is refused without asking a name server for it."""
        if (urlsplit(request.full_url).hostname or "").endswith(".invalid"):
            raise urllib.error.URLError("Name or service not known")
        rewritten = rewrite_url(quote(request.full_url, safe=_SAFE))
        if rewritten != request.full_url:
            request.full_url = rewritten
        return request

    https_request = http_request
