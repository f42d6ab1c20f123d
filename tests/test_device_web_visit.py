"""Where requests come from: forwarded headers of named proxies, root paths, origins."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from device_apps.web.access.origin import cross_origin_reason
from device_apps.web.access.visit import Front, Visit, network_of, parse_proxies, parse_root_path
from edge_ssd.errors import SettingError

FRONT = Front(parse_proxies(["127.0.0.1", "172.16.0.0/12", "::1"]), "/cam1")


def visit(peer: str, front: Front = FRONT, **headers: str) -> Visit:
    raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return front.visit({"type": "http", "client": (peer, 1), "headers": raw})


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "10.0.0.1, 203.0.113.5, 172.20.0.3", "203.0.113.5"),
        ("::ffff:127.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("::1", "[2001:db8::5]:4711", "2001:db8::5"),
        ("127.0.0.1", "2001:db8::5", "2001:db8::5"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("127.0.0.1", "10.0.0.1, junk, 172.20.0.3", "172.20.0.3"),
        ("127.0.0.1", "127.0.0.1, " * 1000, "127.0.0.1"),
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("", "203.0.113.5", ""),
    ],
)
def test_client_is_the_last_address_that_is_no_named_proxy(peer: str, forwarded: str, client: str) -> None:
    assert visit(peer, X_Forwarded_For=forwarded).client == client


def test_host_scheme_and_prefix_of_named_proxies_only() -> None:
    headers = {"Host": "a", "X_Forwarded_Host": "cam.lan:8443", "X_Forwarded_Proto": "https"}
    named = visit("172.17.0.1", **headers, X_Forwarded_Prefix="/other/")
    assert (named.hosts, named.secure, named.root_path) == (("a", "cam.lan:8443"), True, "/other")
    other = visit("10.0.0.1", **headers, X_Forwarded_Prefix="/other/")
    assert (other.hosts, other.secure, other.root_path) == (("a",), False, "/cam1")
    assert visit("127.0.0.1", X_Forwarded_Host="a b", Host="x").hosts == ("x",)


@pytest.mark.parametrize(("text", "path"), [("/", ""), ("/cam1", "/cam1"), ("/cam1/", "/cam1"), ("/a/b-1", "/a/b-1")])
def test_root_path(text: str, path: str) -> None:
    assert parse_root_path(text) == path


@pytest.mark.parametrize("text", ["cam1", "//cam1", "/a//b", "/a b", "/../a", "/a/..", "https://x/y", "/a?b", "/ä"])
def test_invalid_root_path_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"--web-root-path .*such as /cam1"):
        parse_root_path(text)


@pytest.mark.parametrize("text", ["nginx", "127.0.0.1:80", "1.2.3", "10.0.0.0/33", ""])
def test_invalid_proxy_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"--web-trusted-proxy .*such as 127"):
        parse_proxies([text])


def test_network_of_a_client() -> None:
    assert network_of("::ffff:10.1.2.3") == "10.1.2.3"
    assert network_of("2001:db8:1:2:3::4%eth0") == "2001:db8:1:2::/64"
    assert network_of("") == ""


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://cam.lan:8080", "cam.lan:8080", True),
        ("https://cam.lan", "cam.lan:443", True),
        ("http://CAM.lan", "cam.LAN", True),
        ("http://cam.lan:8080", "cam.lan", False),
        ("https://cam.lan", "cam.lan:80", False),
        ("http://cam.lan:x", "cam.lan:x", False),
        ("null", "null", False),
        ("", "", False),
    ],
)
def test_origin_of_the_own_page(origin: str, host: str, same: bool) -> None:
    headers = Headers({"origin": origin, "host": host})
    reason = cross_origin_reason(headers, visit("10.0.0.1", Host=host), any_host=True)
    assert (reason is None) == same


def test_refusal_shows_no_control_characters() -> None:
    headers = Headers({"origin": "http://x\x1b[2J\x9b", "host": "y" * 1000})
    reason = cross_origin_reason(headers, visit("10.0.0.1"), any_host=True)
    assert reason is not None
    assert reason.isprintable()
    assert len(reason) < 500
