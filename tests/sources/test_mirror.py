import pytest

from workflow_scripts.sources.mirror import rewrite_url


def test_without_a_mirror_an_address_stays(monkeypatch):
    monkeypatch.delenv("MIRROR_URL", raising=False)
    assert rewrite_url("https://cs.stanford.edu/a.jpg") == "https://cs.stanford.edu/a.jpg"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://cs.stanford.edu/people/a b.jpg", "http://127.0.0.1:9/cs.stanford.edu/people/a b.jpg"),
        ("http://host:8080/a.jpg?size=2&x=1", "http://127.0.0.1:9/host:8080/a.jpg?size=2&x=1"),
        ("http://host", "http://127.0.0.1:9/host/"),
        ("http://127.0.0.1:9/host/a.jpg", "http://127.0.0.1:9/host/a.jpg"),
        ("http://gone.invalid/a.jpg", "http://gone.invalid/a.jpg"),
        ("archive://set/a.jpg", "archive://set/a.jpg"),
    ],
)
def test_with_a_mirror_the_host_becomes_its_first_folder(monkeypatch, url, expected):
    monkeypatch.setenv("MIRROR_URL", "http://127.0.0.1:9/")
    assert rewrite_url(url) == expected
