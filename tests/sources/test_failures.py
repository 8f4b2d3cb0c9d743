import pytest

from workflow_scripts.sources.failures import may_recover, reason_of


@pytest.mark.parametrize(
    ("message", "reason", "recovers"),
    [
        ("HTTP Error 404: Not Found", "404 not found", False),
        ("HTTP Error 410: Gone", "410 gone", False),
        ("HTTP Error 503: Service Unavailable", "5xx server error", True),
        ("HTTP Error 429: Too Many Requests", "HTTP status 429", True),
        ("<urlopen error timed out>", "no answer in time", True),
        ("The read operation timed out", "no answer in time", True),
        ("<urlopen error [Errno -2] Name or service not known>", "no route to the host", True),
        ("IncompleteRead(10 bytes read, 20 more expected)", "connection broke off", True),
        (
            "truncated or damaged picture: image file is truncated (3 bytes not processed)",
            "truncated or damaged picture",
            False,
        ),
        ("<urlopen error file too large>", "file too large", False),
        ("[Errno 13] Permission denied: '/data/own/a.jpg'", "file that may not be read", False),
        ("HTTP Error 404: host/a, a link to /gone, leads nowhere", "404 not found", False),
        (None, "other", True),
    ],
)
def test_messages_are_sorted_into_reasons(message, reason, recovers):
    assert reason_of(message) == reason
    assert may_recover(reason) is recovers
