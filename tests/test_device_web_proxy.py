"""The web preview behind proxies: real nginx and Caddy, with the configurations of the documentation."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from clocks import wait_until
from web_camera import Camera, RecentEvents
from web_client import SECRET, Answer, live_messages, mjpeg_images, request, server_sent_events, write_token
from web_proxies import caddy, documented, nginx, nginx_location

CHANGE = b'{"score_threshold": 0.5}'
HOST = "proxy_set_header Host $http_host"
FORWARDED_FOR = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for"


class Browser:
    """Client of a proxy on loopback, over TLS or not, from any loopback address."""

    def __init__(self, port: int, *, tls: bool = False, address: str = "127.0.0.1") -> None:
        self.port = port
        self.origin = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        self._tls = tls
        self._address = address

    @contextmanager
    def open(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Iterator[Any]:
        options: dict[str, Any] = {"timeout": 30, "source_address": (self._address, 0)}
        if self._tls:
            context = ssl._create_unverified_context()
            connection: Any = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, **options)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, **options)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def request(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        with self.open(path, method, body, **headers) as response:
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def login(self, path: str, token: str, **headers: str) -> Answer:
        body = urlencode({"token": token}).encode()
        headers = {"Content_Type": "application/x-www-form-urlencoded", "Origin": self.origin, **headers}
        return self.request(path, "POST", body, **headers)

    def change(self, path: str = "/api/settings", **headers: str) -> Answer:
        headers = {"Origin": self.origin, **headers}
        return self.request(path, "POST", CHANGE, Content_Type="application/json", **headers)


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_token(tmp_path_factory.mktemp("token"))


@contextmanager
def camera_with(*options: object) -> Iterator[Camera]:
    with Camera(*map(str, options), events=RecentEvents()) as camera:
        wait_until(lambda: camera.stats.snapshot().frames > 0)
        yield camera


def check_page_under_a_path(browser: Browser) -> None:
    """Log in under /cam1/, follow every link of the page, and use its streams and settings."""
    answer = browser.request("/cam1/", Accept="text/html")
    assert (answer.status, answer.headers["location"]) == (303, "/cam1/login")
    wanted = browser.request("/cam1/events?label=a", Accept="text/html").headers["location"]
    assert wanted == "/cam1/login?next=%2Fevents%3Flabel%3Da"
    assert 'value="/events?label=a"' in browser.request(wanted).body.decode()
    page = browser.request("/cam1/login").body.decode()
    assert re.findall(r'action="([^"]*)"', page) == ["login"], "relative to /cam1/login"
    answer = browser.login("/cam1/login", SECRET)
    assert (answer.status, answer.headers["location"]) == (303, "/cam1/")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert "Path=/cam1/" in attributes
    assert ("Secure" in attributes) == browser.origin.startswith("https")
    page = browser.request("/cam1/", Cookie=cookie).body.decode()
    links = re.findall(r'(?:href|src|action)="(?!data:)([^"]*)"', page)
    links += re.findall(r'(?:fetch|assign)\("([^"]*)"', page)
    links += re.findall(r'WORKER = "([^"]*)"', page)
    assert {"snapshot.jpg", "events", "metrics", "api/stats", "api/settings", "live", "logout"} <= set(links)
    assert not [link for link in links if link.startswith("/")]
    assert [link for link in links if link.startswith("worker.js?v=")]
    for link in set(links) - {"live", "logout", "stream", "api/login-link"}:
        assert browser.request(f"/cam1/{link}", Cookie=cookie, Accept="text/html").status == 200, link
    page = browser.request("/cam1/events", Cookie=cookie, Accept="text/html").body.decode()
    links = [*re.findall(r'href="(?!data:)([^"]*)"', page), *re.findall(r"ask\(`([^`]*)`", page)]
    assert {"./", "api/events"} <= set(links)
    assert not [link for link in links if link.startswith("/")]
    start = time.monotonic()
    with browser.open("/cam1/events", Cookie=cookie) as response:
        messages = server_sent_events(response)
        kinds = [next(messages)[0] for _ in range(4)]
        assert time.monotonic() - start < 3, "not buffered"
        assert kinds[:2] == ["about", "settings"]
        while next(messages)[0] != "stats":
            pass
    start = time.monotonic()
    with browser.open("/cam1/live", Cookie=cookie) as response:
        assert next(live_messages(response))["kind"] == "about"
        assert time.monotonic() - start < 3, "not buffered"
    with browser.open("/cam1/stream", Cookie=cookie) as response:
        jpegs = mjpeg_images(response)
        assert next(jpegs) != next(jpegs)
    assert browser.change("/cam1/api/settings", Cookie=cookie).status == 200
    assert browser.change("/cam1/api/settings", Cookie=cookie, Origin="https://evil.example").status == 403
    made = browser.request("/cam1/api/login-link", "POST", Cookie=cookie, Origin=browser.origin)
    assert (made.status, made.json["error"][:35]) == (409, "No phone can reach this address. St"), "it is loopback"
    answer = browser.request("/cam1/logout", "POST", Cookie=cookie, Origin=browser.origin)
    assert answer.headers["location"] == "/cam1/login"
    assert "Path=/cam1/" in answer.headers["set-cookie"]


def test_documented_nginx(tmp_path: Path, token_file: Path) -> None:
    options = ("--web-token-file", token_file, "--web-root-path", "/cam1", "--web-trusted-proxy", "127.0.0.1")
    with camera_with(*options) as camera, nginx(tmp_path, documented("nginx"), camera.port) as port:
        assert camera.log[-1].startswith(f"web preview at http://127.0.0.1:{camera.port}/cam1/")
        browser = Browser(port, tls=True)
        check_page_under_a_path(browser)
        assert browser.request("/cam1").headers["location"].endswith("/cam1/")
        assert request(camera.port, "/healthz", Authorization=f"Bearer {SECRET}").status == 200, "without the path too"
        # Wrong tokens of one client slow down no other.
        guesser, other = Browser(port, tls=True, address="127.0.0.2"), Browser(port, tls=True, address="127.0.0.3")
        statuses = [guesser.login("/cam1/login", f"guess-number-{i}-of-many").status for i in range(6)]
        assert statuses == [401] * 5 + [429]
        assert guesser.login("/cam1/login", SECRET).status == 303, "the right one always enters"
        assert other.login("/cam1/login", "guess-of-another-client").status == 401


def test_documented_caddy(tmp_path: Path, token_file: Path) -> None:
    options = ("--web-token-file", token_file, "--web-root-path", "/cam1", "--web-trusted-proxy", "127.0.0.1")
    with camera_with(*options) as camera, caddy(tmp_path, documented("caddy"), camera.port) as port:
        browser = Browser(port)
        check_page_under_a_path(browser)
        assert browser.request("/cam1").headers["location"] == "/cam1/"


def test_proxy_that_removes_the_path(tmp_path: Path, token_file: Path) -> None:
    prefix = "proxy_set_header X-Forwarded-Prefix /cam1"
    server = nginx_location(HOST, prefix, "proxy_buffering off", path="/cam1/", passed="/")
    options = ("--web-token-file", token_file, "--web-trusted-proxy", "127.0.0.0/8")
    with camera_with(*options) as camera, nginx(tmp_path, server, camera.port) as port:
        check_page_under_a_path(Browser(port))


@pytest.mark.parametrize(
    ("lines", "options", "advice"),
    [
        (["proxy_set_header Host $host"], [], "proxy_set_header Host $http_host; (not $host)"),
        ([], [], "the proxy replaces the Host; for nginx: proxy_set_header Host $http_host;"),
        (["proxy_set_header X-Forwarded-Host $http_host"], [], "start edge-ssd with --web-trusted-proxy 127.0.0.1"),
        (["proxy_set_header X-Forwarded-Host $http_host"], ["--web-trusted-proxy", "127.0.0.1"], None),
        ([HOST], [], None),
    ],
)
def test_refusal_says_what_to_change(
    tmp_path: Path, token_file: Path, lines: list[str], options: list[str], advice: str | None
) -> None:
    with (
        camera_with("--web-token-file", token_file, *options) as camera,
        nginx(tmp_path, nginx_location(*lines), camera.port) as port,
    ):
        browser = Browser(port)
        own = {"Host": f"cam.lan:{port}", "Origin": f"http://cam.lan:{port}", "Authorization": f"Bearer {SECRET}"}
        answer = browser.change(**own)
        assert answer.status == (200 if advice is None else 403)
        if advice is not None:
            assert advice in answer.json["error"]
            host = "cam.lan" if lines == ["proxy_set_header Host $host"] else f"127.0.0.1:{camera.port}"
            assert f"its Origin is http://cam.lan:{port}, the Host here {host}. " in answer.json["error"]
            assert any(advice in line for line in camera.log), "in the log too"
        # Browsers over HTTPS and on localhost say it themselves.
        assert browser.change(**own, Sec_Fetch_Site="same-origin").status == 200


def test_proxy_that_checks_who_enters_itself(tmp_path: Path) -> None:
    server = nginx_location("proxy_set_header X-Forwarded-Host $http_host")
    with camera_with("--web-trusted-proxy", "127.0.0.1") as camera, nginx(tmp_path, server, camera.port) as port:
        browser = Browser(port)
        assert browser.request("/").status == 200
        assert browser.change().status == 200
        assert browser.change(Origin="http://evil.example").status == 403
    with camera_with() as camera, nginx(tmp_path, nginx_location(HOST), camera.port) as port:
        answer = Browser(port).request("/", Host="cam.lan")
        assert answer.status == 421
        assert "the Host of this request is cam.lan." in answer.json["error"]
        assert "--web-token-file" in answer.json["error"]
        assert "--web-trusted-proxy 127.0.0.1" in answer.json["error"]


def test_forwarded_headers_of_others_are_ignored(token_file: Path) -> None:
    options = ("--web-token-file", token_file, "--web-trusted-proxy", "192.0.2.7")
    with camera_with(*options) as camera:
        direct = Browser(camera.port)
        forged = {
            "X_Forwarded_For": "10.1.2.3",
            "X_Forwarded_Host": "evil.example",
            "X_Forwarded_Proto": "https",
            "X_Forwarded_Prefix": "/evil",
        }
        answer = direct.login("/login", SECRET, **forged)
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert "Secure" not in answer.headers["set-cookie"]
        assert direct.request("/", Accept="text/html", **forged).headers["location"] == "/login"
        change = direct.change(Authorization=f"Bearer {SECRET}", **{**forged, "Origin": "https://evil.example"})
        assert change.status == 403
        for i in range(5):
            forged["X_Forwarded_For"] = f"10.1.2.{i}"
            direct.request("/metrics", Authorization=f"Bearer guess-{i}", **forged)
        assert direct.request("/metrics", Authorization="Bearer guess", **forged).status == 429


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "javascript:", "/../x", '/x"><script>', "/x;y"])
def test_hostile_prefix_is_ignored(token_file: Path, prefix: str) -> None:
    with camera_with("--web-token-file", token_file, "--web-trusted-proxy", "127.0.0.1") as camera:
        answer = request(camera.port, "/", Accept="text/html", X_Forwarded_Prefix=prefix)
        assert answer.headers["location"] == "/login"


def test_strangers_at_an_unnamed_proxy_lock_nobody_out(tmp_path: Path, token_file: Path) -> None:
    with (
        camera_with("--web-token-file", token_file) as camera,
        nginx(tmp_path, nginx_location(HOST, FORWARDED_FOR), camera.port) as port,
    ):
        stranger, owner = Browser(port, address="127.0.0.2"), Browser(port)
        for i in range(6):
            stranger.request("/metrics", Authorization=f"Bearer guess-{i}")
        assert owner.request("/metrics", Authorization=f"Bearer {SECRET}").status == 200, "Prometheus"
        assert owner.login("/login", SECRET).status == 303
        assert json.loads(owner.request("/api/stats", Authorization=f"Bearer {SECRET}").body)
