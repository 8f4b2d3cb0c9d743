"""Fetch one file: resumed, verified, retried, and never half under its final name."""

import hashlib
import logging
import time
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from urllib.parse import unquote

import requests

from workflow_scripts.sources.file_kinds import why_not
from workflow_scripts.sources.mirror import rewrite_url

logger = logging.getLogger("fetch")

_PERMANENT = {400, 401, 403, 404, 410, 451}
_PUT_IT_THERE = "Waiting does not help: repair that, or put the file to {target} yourself, and run the command again."


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try: the pause doubles from `pause_seconds` with every attempt."""

    attempts: int = 5
    pause_seconds: float = 1.0
    timeout_seconds: float = 30.0


@dataclass(frozen=True)
class Access:
    """The right to fetch files that their owner gives to some only: a token, and the page where access is granted."""

    token: str
    page: str


@dataclass(frozen=True)
class Checksums:
    """What a file has to be; nothing of it where nobody published any."""

    sha256: str | None = None
    md5: str | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to compare with."""
        return bool(self.sha256 or self.md5)

    def mistake(self, path: Path) -> str | None:
        """Say which checksum of a file is another one; None where all that are known are right."""
        for name, wanted in (("sha256", self.sha256), ("md5", self.md5)):
            if wanted is not None and (found := digest_of(path, name)) != wanted:
                return f"the checksum is {found}, expected {wanted}"
        return None


class _GivenUpError(Exception):
    """The address does not give the file; `for_good` if it would not if it were asked later either."""

    def __init__(self, reason: str, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good


class MirroredSession(requests.Session):
    """Follows redirects to the mirror as well, where the environment names one."""

    def get_redirect_target(self, response: requests.Response) -> str | None:
        """Return where an answer leads to, if anywhere."""
        target = super().get_redirect_target(response)
        return rewrite_url(target) if target else None


def digest_of(path: Path, name: str) -> str:
    """Return a checksum of a file, as "md5"."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, name).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    return digest_of(path, "sha256")


def fetch(urls: list[str], target: Path, checksums: Checksums, patience: Patience, access: Access | None = None) -> str:
    """Fetch the first of the addresses that gives the file; returns its sha256.

    What an interrupted attempt left (`.name.part`) is continued if the server still has the same version. Without a
    checksum, content that cannot be of the kind that the name says is not stored: a page, above all.

    Raises:
        ValueError: none of the addresses gives the file, or its checksum is another; with what each one said.
    """
    if target.is_file() and not _mistake(target, target.name, checksums):
        return checksums.sha256 or sha256_of(target)
    said: list[str] = []
    for_good = True
    for url in urls:
        try:
            found = _fetch_from(url, target, checksums, patience, access)
        except _GivenUpError as error:
            said.append(f"{url}: {error}")
            for_good = for_good and error.for_good
            logger.warning("%s: %s", url, error)
            continue
        return found
    way_out = _PUT_IT_THERE.format(target=target) if for_good else "Run the command again later."
    raise ValueError(f"{target.name} could not be fetched. {'; '.join(said)}. {way_out}")


def _mistake(path: Path, name: str, checksums: Checksums) -> str | None:
    return checksums.mistake(path) if checksums.known else why_not(path, name)


def _fetch_from(url: str, target: Path, checksums: Checksums, patience: Patience, access: Access | None) -> str:
    another_version = False
    part, tag = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.etag")
    last = ""
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.pause_seconds * 2 ** (attempt - 1))
        another_version = False
        try:
            _receive(url, part, tag, patience, access)
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            last = f"HTTP status {status}" if status else _short(error)
            if status in (403, 404) and rewrite_url(url) != url:
                last = _lacking(url, error.response)
            if status in (401, 403) and access is not None:
                last = f"{last}: the token has no access; ask for it, with the token's account, at {access.page}"
            if status in _PERMANENT:
                raise _GivenUpError(last, for_good=True) from error
            logger.info("%s: %s (attempt %d of %d)", url, last, attempt + 1, patience.attempts)
            continue
        mistake = _mistake(part, target.name, checksums)
        if mistake:
            other = why_not(part, target.name)
            _forget(part, tag)
            if other:  # asked again, a server says the same
                raise _GivenUpError(other, for_good=True)
            last, another_version = mistake, True
            logger.info("%s: %s (attempt %d of %d)", url, last, attempt + 1, patience.attempts)
            continue
        found = checksums.sha256 or sha256_of(part)
        part.replace(target)
        tag.unlink(missing_ok=True)
        return found
    raise _GivenUpError(f"{last} after {patience.attempts} attempts", for_good=another_version)


def _lacking(url: str, response: requests.Response | None) -> str:
    """What a mirror lacks; its server says why in the status line, if it is ours."""
    name = url.partition("://")[2]
    reason = unquote(response.reason or "") if response is not None else ""
    if reason and reason not in ("Not Found", "Forbidden"):
        return f"the mirror does not give {name}: {reason}"
    return f"the mirror has no file {name}"


def _receive(url: str, part: Path, tag: Path, patience: Patience, access: Access | None) -> None:
    """Append what is missing to the partial file; raises a RequestException where the transfer breaks off."""
    have = part.stat().st_size if part.is_file() and tag.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if access is not None:  # requests drops it where the answer leads to another host
        headers["Authorization"] = f"Bearer {access.token}"
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text()}
    timeout = (patience.timeout_seconds, patience.timeout_seconds)
    with (
        MirroredSession() as session,
        session.get(rewrite_url(url), headers=headers, stream=True, timeout=timeout) as response,
    ):
        if response.status_code == 416:  # a partial file that is longer than the present version
            _forget(part, tag)
        response.raise_for_status()
        continues = response.status_code == 206
        etag = response.headers.get("ETag")
        if etag and not etag.startswith("W/"):
            tag.write_text(etag)
        else:
            tag.unlink(missing_ok=True)
        expected = response.headers.get("Content-Length")
        received = 0
        with part.open("ab" if continues else "wb", buffering=0) as stream:
            for block in response.iter_content(1 << 16):
                _write(stream, block, part)
                received += len(block)
        if expected is not None and received != int(expected):
            raise requests.ConnectionError(f"the connection broke after {received} of {expected} bytes")


def _write(stream: RawIOBase, block: bytes, part: Path) -> None:
    try:
        view = memoryview(block)
        while view:  # an unbuffered file may take a part only
            view = view[stream.write(view) :]
    except OSError as error:
        raise ValueError(
            f"{part.parent} takes no more data ({error.strerror}); make room and run the command again, "
            f"which goes on where {part.name} ends."
        ) from error


def _forget(part: Path, tag: Path) -> None:
    part.unlink(missing_ok=True)
    tag.unlink(missing_ok=True)


def _short(error: Exception) -> str:
    text = str(error)
    return next((short for word, short in _SAID.items() if word in text), f"{type(error).__name__}: {text[:200]}")


_SAID = {
    "timed out": "no answer in time",
    "Connection refused": "connection refused",
    "Name or service not known": "no such host",
    "Temporary failure in name resolution": "no such host",
    "Failed to resolve": "no such host",
}
