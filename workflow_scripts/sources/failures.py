"""What the many messages of failed downloads mean."""

import re

NOT_A_PICTURE = "not a picture"
BROKEN = "truncated or damaged picture"
TOO_LARGE_FILE = "file too large"
TOO_LARGE_PICTURE = "picture has too many pixels"
NOT_IN_ARCHIVE = "not in the archive"
NOT_ALLOWED = "file that may not be read"

_STATUS = re.compile(r"HTTP Error (\d{3})")
_STATUS_NAMES = {"401": "401 unauthorised", "403": "403 forbidden", "404": "404 not found", "410": "410 gone"}
_MESSAGES = (
    ("timed out", "no answer in time"),
    ("Name or service not known", "no route to the host"),
    ("No address associated", "no route to the host"),
    ("name resolution", "no route to the host"),
    ("No route to host", "no route to the host"),
    ("unreachable", "no route to the host"),
    ("IncompleteRead", "connection broke off"),
    ("Connection reset", "connection refused or reset"),
    ("Connection refused", "connection refused or reset"),
    ("Remote end closed", "connection broke off"),
    ("CERTIFICATE", "certificate not valid"),
    ("X-Robots-Tag", "use not allowed by its owner"),
    ("No such file or directory", NOT_IN_ARCHIVE),
    ("Permission denied", NOT_ALLOWED),
    ("Is a directory", NOT_IN_ARCHIVE),
    ("Too many levels of symbolic links", NOT_IN_ARCHIVE),
)
_PERMANENT = {
    *_STATUS_NAMES.values(),
    NOT_A_PICTURE,
    BROKEN,
    TOO_LARGE_FILE,
    TOO_LARGE_PICTURE,
    NOT_IN_ARCHIVE,
    NOT_ALLOWED,
    "use not allowed by its owner",
}


def reason_of(message: str | None) -> str:
    """Sort an error message of img2dataset into one of a few reasons."""
    message = message or "unknown"
    status = _STATUS.search(message)
    if status:
        code = status.group(1)
        return _STATUS_NAMES.get(code, f"{code[0]}xx server error" if code[0] == "5" else f"HTTP status {code}")
    for part, reason in _MESSAGES:
        if part in message:
            return reason
    for reason in (NOT_A_PICTURE, BROKEN, TOO_LARGE_FILE, TOO_LARGE_PICTURE):
        if reason in message:
            return reason
    return "other"


def may_recover(reason: str) -> bool:
    """Tell whether asking again later can help."""
    return reason not in _PERMANENT
