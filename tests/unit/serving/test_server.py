"""Where a server may listen."""

from __future__ import annotations

import socket

import pytest

from hunmin.core.errors import InputError
from hunmin.serving.server import address_of, listen, refuse_open_exposure


def test_a_busy_port_is_one_clear_error() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}: cannot listen here") as caught:
            listen("127.0.0.1", port)
    assert "Address already in use" in str(caught.value)
    assert "--port 0" in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(InputError, match="cannot listen here"):
        listen("192.0.2.1", 0)


def test_the_url_is_that_of_the_socket() -> None:
    with listen("localhost", 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")
    if socket.has_ipv6:
        with socket.socket(socket.AF_INET6) as listener:
            listener.bind(("::1", 0))
            assert address_of(listener).startswith("http://[::1]:")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(host: str) -> None:
    refuse_open_exposure(host, api_key=None, allow_no_key=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_other_machines_need_a_key_or_an_explicit_wish(host: str) -> None:
    with pytest.raises(InputError, match="no key protects it") as caught:
        refuse_open_exposure(host, api_key=None, allow_no_key=False)
    assert "HUNMIN_API_KEY" in str(caught.value)
    refuse_open_exposure(host, api_key="k", allow_no_key=False)
    refuse_open_exposure(host, api_key=None, allow_no_key=True)
