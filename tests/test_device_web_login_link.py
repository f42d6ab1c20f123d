"""One-time login links: their codes, addresses and QR codes, for programs and on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest
from clocks import Clock
from web_camera import Camera
from web_client import SECRET, Answer, request, write_token

from device_apps.web.access.address import Address, reachable_host
from device_apps.web.access.login_codes import CodeState, LoginCodes
from device_apps.web.access.login_link import LoginLinks

BEARER = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Camera]:
    token = write_token(tmp_path_factory.mktemp("token"))
    with Camera("--web-token-file", str(token), clock=clock) as camera:
        yield camera


@pytest.fixture(autouse=True)
def an_hour_later(clock: Clock) -> None:
    clock.now += 3600


def make_link(camera: Camera, **headers: str) -> Answer:
    return request(camera.port, "/api/login-link", "POST", b"", **{**BEARER, "Host": "camera.lan:8080", **headers})


def open_link(camera: Camera, code: str, **headers: str) -> Answer:
    """Post a code as the script of the login page does."""
    body = urlencode({"token": "", "code": code}).encode()
    return request(camera.port, "/login", "POST", body, Content_Type="application/x-www-form-urlencoded", **headers)


def refusal(answer: Answer) -> str:
    assert "set-cookie" not in answer.headers
    (message,) = re.findall(r'role="alert">([^<]*)<', answer.body.decode())
    return message


def test_link_signs_in_once(camera: Camera) -> None:
    made = make_link(camera)
    assert (made.status, made.headers["cache-control"]) == (200, "no-store")
    base, code = made.json["url"].split("#")
    assert base == "http://camera.lan:8080/login"
    assert re.fullmatch(r"[\w-]{22}", code)
    assert made.json["valid_s"] == 300
    assert made.json["qr"].startswith("data:image/svg+xml")
    entered = open_link(camera, code)
    assert (entered.status, entered.headers["location"]) == (303, "/")
    cookie, *attributes = entered.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict"} <= set(attributes)
    assert request(camera.port, "/", Cookie=cookie).status == 200
    again = open_link(camera, code)
    assert again.status == 401
    assert refusal(again).startswith("This link has been used already. Make a new one with “Open on a phone”")
    again = open_link(camera, code, Cookie=cookie)
    assert (again.status, again.headers["location"]) == (303, "/"), "this device is signed in"
    assert code not in "\n".join(camera.log)


def test_expired_links_and_guesses_are_refused_and_limited(camera: Camera, clock: Clock) -> None:
    code = make_link(camera).json["url"].partition("#")[2]
    clock.now += 299
    assert open_link(camera, make_link(camera).json["url"].partition("#")[2]).status == 303
    clock.now += 1
    assert refusal(open_link(camera, code)).startswith("This link has expired: it was valid for 5 minutes. ")
    for guess in ("A" * 22, code[:-1], "é"):
        answer = open_link(camera, guess)
        assert answer.status == 401
        assert refusal(answer).startswith("This link is not valid. ")
    assert open_link(camera, "B" * 22).status == 401
    answer = open_link(camera, "C" * 22)
    assert (answer.status, refusal(answer)) == (429, "Too many wrong links. Wait 61 s.")
    valid = make_link(camera).json["url"].partition("#")[2]
    assert open_link(camera, valid).status == 303, "a right one always enters"


def test_only_those_who_have_signed_in_make_links(camera: Camera) -> None:
    assert make_link(camera, Authorization="").status == 401
    assert make_link(camera, Origin="http://evil.example").status == 403
    assert request(camera.port, "/api/login-link", **BEARER).status == 405
    with Camera() as open_to_all:
        assert request(open_to_all.port, "/api/login-link", "POST", b"").status == 404


def test_newest_codes_are_kept() -> None:
    clock = Clock()
    codes = LoginCodes(clock)
    made = [codes.new() for _ in range(100)]
    assert len(set(made)) == 100
    states = [codes.redeem(code) for code in made]
    assert states == [CodeState.UNKNOWN] * 84 + [CodeState.VALID] * 16
    assert {codes.redeem(code) for code in made[84:]} == {CodeState.USED}
    assert codes.redeem("") is CodeState.UNKNOWN
    assert not any(code in repr(codes._codes) for code in made)


def test_link_has_the_address_of_the_page_that_asked(camera: Camera) -> None:
    origin = {"Host": "camera.lan", "Origin": "https://camera.lan", "Sec_Fetch_Site": "same-origin"}
    assert make_link(camera, **origin).json["url"].startswith("https://camera.lan/login#")
    with Camera("--web-token-file", str(camera.args.web_token_file), "--web-root-path", "/cam1") as behind_a_proxy:
        assert make_link(behind_a_proxy, **origin).json["url"].startswith("https://camera.lan/cam1/login#")
    for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080", "0.0.0.0"):
        answer = make_link(camera, Host=host)
        assert answer.status == 409
        assert answer.json["error"].startswith("No phone can reach this address. Start edge-ssd with --web 0.0.0.0:")


def test_addresses_that_others_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reachable_host(Address("127.0.0.1", 80)) is None
    assert reachable_host(Address("192.0.2.7", 80)) == "192.0.2.7"
    host = reachable_host(Address("0.0.0.0", 80))
    assert host
    assert not host.startswith(("127.", "0.")), "that of an interface, or the host name"
    monkeypatch.setattr("device_apps.web.access.address._SOMEWHERE", ("127.0.0.1", 9))
    assert reachable_host(Address("::", 80)) == os.uname().nodename, "without another network"


class Terminal:
    """A terminal of 80 columns, and what was written to it."""

    def __init__(self, columns: int = 80, encoding: str = "utf-8") -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding=encoding)

    def read(self) -> list[str]:
        self.stream.close()
        written = b""
        with contextlib.suppress(OSError):  # EIO at the end.
            while part := os.read(self._master, 65536):
                written += part
        os.close(self._master)
        return written.decode().splitlines()


def links(**changes: object) -> LoginLinks:
    values = {"page_url": "https://camera.example/cam1", "address": Address("127.0.0.1", 8080), "root_path": ""}
    return LoginLinks(LoginCodes(), **{**values, **changes})  # type: ignore[arg-type]


def decode_qr(lines: list[str]) -> str:
    """Return what a camera reads from the lines of a terminal whose background is light."""
    modules = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows = [line.removeprefix("\x1b[97;40m").removesuffix("\x1b[0m") for line in lines]
    pixels = np.array([[modules[c][half] for c in row] for row in rows for half in (0, 1)], np.uint8)
    return cv2.QRCodeDetector().detectAndDecode(np.kron(255 * pixels, np.ones((8, 8), np.uint8)))[0]


def test_terminal_shows_the_link_and_its_qr_code() -> None:
    terminal = Terminal()
    links().show(terminal.stream)
    first, *code = terminal.read()
    text, url = first.rsplit(": ", 1)
    assert text == "edge-ssd: open on a phone, once within 5 minutes"
    assert url.startswith("https://camera.example/cam1/login#")
    assert decode_qr(code) == url


@pytest.mark.parametrize(("columns", "encoding"), [(30, "utf-8"), (80, "ascii")])
def test_terminal_that_cannot_show_the_code_shows_the_link(columns: int, encoding: str) -> None:
    terminal = Terminal(columns, encoding)
    links().show(terminal.stream)
    assert len(terminal.read()) == 1


def test_without_segno_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, camera: Camera) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    terminal = Terminal()
    links().show(terminal.stream)
    assert terminal.read()[1:] == ['edge-ssd: for a QR code: pip install "edge-ssd[web]"']
    made = make_link(camera).json
    assert (made["qr"], made["hint"]) == (None, 'for a QR code: pip install "edge-ssd[web]"')


def test_nothing_is_shown_without_a_terminal_or_a_phone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    links().show()
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    links(page_url=None).show(terminal.stream)
    monkeypatch.setattr("device_apps.web.access.login_link.shows_progress", lambda: False)
    links().show(terminal.stream)
    assert terminal.read() == []
    monkeypatch.undo()
    # The command itself, with a token and without.
    for options in (["--web-token-file", str(write_token(tmp_path))], []):
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal.stream)
        with Camera("--web-url", "https://camera.example", *options):
            monkeypatch.undo()
        assert (len(terminal.read()) > 10) == bool(options)
