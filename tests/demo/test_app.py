import pytest

from workflow_scripts.demo.app import access, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_on_loopback_no_password_is_needed(host):
    assert is_loopback(host)
    assert access(host, None) == {}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_other_machines_need_a_password(host):
    with pytest.raises(ValueError, match="DEMO_PASSWORD"):
        access(host, None)
    check = access(host, "secret")["auth"]
    assert check("anybody", "secret")
    assert not check("anybody", "Secret")
    assert not check("anybody", "")


def test_a_password_counts_on_loopback_too():
    assert access("127.0.0.1", "secret")
