"""Listening address: parsing, binding and its errors."""

from __future__ import annotations

import socket

import pytest

from device_apps.web.access.address import Address, open_listener, parse_address
from edge_ssd.errors import EdgeSSDError, SettingError


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("8080", "127.0.0.1", 8080, True),
        ("0", "127.0.0.1", 0, True),
        ("127.1.2.3:80", "127.1.2.3", 80, True),
        ("localhost:8080", "localhost", 8080, True),
        ("[::1]:65535", "::1", 65535, True),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False),
        ("[::]:8080", "::", 8080, False),
        ("192.168.1.20:8080", "192.168.1.20", 8080, False),
        ("[fe80::1]:8080", "fe80::1", 8080, False),
        ("[::ffff:192.168.1.20]:8080", "::ffff:192.168.1.20", 8080, False),
    ],
)
def test_parse_address_accepts_host_and_port(text: str, host: str, port: int, loopback: bool) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.loopback) == (host, port, loopback)
    assert str(address).endswith(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        *((text, "expected [HOST:]PORT") for text in ("", "web", "localhost:")),
        *((text, "a port from 0 to 65535") for text in ("65536", "-1", "٨٠٨٠", "localhost:8080/")),
        (":8080", "give 8080 for this machine only"),
        ("::1:8080", "write an IPv6 address in brackets"),
    ],
)
def test_parse_address_refuses_invalid_text(text: str, problem: str) -> None:
    with pytest.raises(SettingError) as error:
        parse_address(text)
    assert problem in str(error.value)
    assert str(error.value).startswith(f"--web {text}")


def test_unknown_host_is_an_error() -> None:
    address = Address("no-such-host.invalid", 8080)
    with pytest.raises(EdgeSSDError, match="unknown host"):
        assert not address.loopback
    with pytest.raises(EdgeSSDError, match="unknown host"):
        open_listener(address)


def test_port_in_use_is_an_error_until_it_is_free() -> None:
    with open_listener(Address("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(EdgeSSDError, match=rf"^--web 127.0.0.1:{port}: the port is in use by another program"):
            open_listener(Address("127.0.0.1", port))
        # A connection that the server closed first keeps its port in TIME_WAIT.
        with socket.create_connection(("127.0.0.1", port)) as client:
            first.accept()[0].close()
            assert client.recv(1) == b""
    open_listener(Address("127.0.0.1", port)).close()


def test_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(EdgeSSDError, match="this machine does not have this address"):
        open_listener(Address("192.0.2.1", 0))  # Reserved for documentation (RFC 5737).


def test_ipv6_any_address_accepts_ipv4() -> None:
    with (
        open_listener(Address("::", 0)) as listener,
        socket.create_connection(("127.0.0.1", listener.getsockname()[1])),
    ):
        pass


def test_connections_inherit_the_send_buffer() -> None:
    with open_listener(Address("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * 64 * 1024  # Linux doubles it.
