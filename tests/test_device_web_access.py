"""Access to a preview with a token, from programs and browsers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from clocks import Clock, wait_until
from web_camera import Camera
from web_client import SECRET, mjpeg_images, open_stream, request, write_token

from device_apps.web.access.login import own_path
from device_apps.web.access.token import TOKEN_VARIABLE
from edge_ssd.errors import EdgeSSDError, SettingError

BEARER = f"Bearer {SECRET}"
PATHS = ["/", "/stream", "/snapshot.jpg", "/events", "/api/settings", "/api/stats", "/healthz", "/metrics", "/nothing"]


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_token(tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def camera(token_file: Path, clock: Clock) -> Iterator[Camera]:
    with Camera("--web-token-file", str(token_file), clock=clock) as camera:
        wait_until(lambda: camera.stats.snapshot().frames > 0)
        yield camera


@pytest.fixture(autouse=True)
def a_minute_later(clock: Clock) -> None:
    clock.now += 60


@pytest.mark.parametrize(
    ("wanted", "opened"),
    [
        ("/events?label=a%20b#12ab-1", "/events?label=a%20b#12ab-1"),
        ("/cameras/door/", "/cameras/door/"),
        *(
            (wanted, "/")
            for wanted in (
                "",
                "events",
                "//evil.example",
                "/\\evil.example",
                "\\\\evil.example",
                "/\t/evil.example",
                "https://evil.example/",
                "javascript:alert(1)",
                "/../other",
                "/a/%2E%2e/other",
                "/login?next=/",
                "/logout",
                "/ä",
                "/" + "x" * 5000,
            )
        ),
    ],
)
def test_login_leads_only_to_own_pages(wanted: str, opened: str) -> None:
    assert own_path(wanted) == opened


def login(camera: Camera, token: str, **headers: str):  # type: ignore[no-untyped-def]
    body = urlencode({"token": token}).encode()
    return request(camera.port, "/login", "POST", body, Content_Type="application/x-www-form-urlencoded", **headers)


@pytest.mark.parametrize("path", PATHS)
def test_pages_require_the_token(camera: Camera, path: str) -> None:
    for headers in ({}, {"Authorization": "Basic dTpw"}, {"Cookie": f"edge_ssd_{camera.port}={SECRET}"}):
        answer = request(camera.port, path, **headers)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json == {"error": "a token is needed: Authorization: Bearer TOKEN"}
    assert request(camera.port, f"{path}?token={SECRET}").status == 401, "never in a URL"
    change = request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0}', Content_Type="application/json")
    assert change.status == 401
    assert camera.detector.min_score_threshold == 0.5


def test_bearer_token_grants_access(camera: Camera) -> None:
    assert request(camera.port, "/healthz", Authorization=BEARER).body == b"ok\n"
    assert request(camera.port, "/metrics", Authorization=f"bearer  {SECRET}").status == 200
    with open_stream(camera.port, "/stream", Authorization=BEARER) as response:
        next(mjpeg_images(response))


def test_token_allows_any_host_name(camera: Camera) -> None:
    assert request(camera.port, "/healthz", Authorization=BEARER, Host="camera.example").status == 200


def test_login_redirects_a_browser_and_sets_the_cookie(camera: Camera) -> None:
    answer = request(camera.port, "/", Accept="text/html,application/xhtml+xml")
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    page = request(camera.port, "/login")
    assert page.status == 200
    assert b'<form method="post" action="login">' in page.body
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    answer = login(camera, SECRET, Origin=camera.url)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"} <= set(attributes)
    assert "Secure" not in attributes, "a browser would not send it back over HTTP"
    assert cookie.startswith(f"edge_ssd_{camera.port}=")
    assert SECRET not in answer.headers["set-cookie"]
    assert request(camera.port, "/", Cookie=cookie).status == 200
    assert request(camera.port, "/", Cookie=f"other=1; {cookie}").status == 200
    assert request(camera.port, "/", Cookie=cookie[:-1]).status == 401
    answer = request(camera.port, "/logout", "POST", Cookie=cookie, Origin=camera.url)
    assert answer.headers["location"] == "/login"
    assert f'edge_ssd_{camera.port}=""' in answer.headers["set-cookie"]


def test_cookie_is_secure_behind_a_trusted_proxy_with_tls(camera: Camera, token_file: Path) -> None:
    assert "Secure" not in login(camera, SECRET, X_Forwarded_Proto="https").headers["set-cookie"].split("; ")
    with Camera("--web-token-file", str(token_file), "--web-trusted-proxy", "127.0.0.1") as behind:
        answer = login(behind, SECRET, X_Forwarded_Proto="https")
        assert "Secure" in answer.headers["set-cookie"].split("; ")


def test_login_and_logout_refuse_cross_origin_requests(camera: Camera) -> None:
    assert login(camera, SECRET, Origin="http://evil.example").status == 403
    cookie = login(camera, SECRET).headers["set-cookie"].split("; ")[0]
    assert request(camera.port, "/logout", "POST", Cookie=cookie, Origin="http://evil.example").status == 403
    change = {"Content_Type": "application/json", "Origin": "http://evil.example", "Cookie": cookie}
    assert request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0}', **change).status == 403


@pytest.mark.parametrize("body", [b"", b"token=", b"token", b"\xff\xfe", b"token=%ff", b"&" * 5000, b"a=1&" * 8])
def test_login_refuses_forms_without_token(camera: Camera, body: bytes) -> None:
    answer = request(camera.port, "/login", "POST", body)
    assert answer.status == 401
    assert b"That is not the token." in answer.body
    assert "set-cookie" not in answer.headers


def test_login_refuses_large_bodies(camera: Camera) -> None:
    assert request(camera.port, "/login", "POST", b"token=" + b"x" * 65_536).status == 413


def test_wrong_tokens_are_rate_limited(camera: Camera, clock: Clock) -> None:
    session = login(camera, SECRET).headers["set-cookie"].split("; ")[0]
    for i in range(5):
        if i % 2:
            assert login(camera, f"guess-number-{i}-of-many").status == 401
        else:
            assert request(camera.port, "/metrics", Authorization=f"Bearer guess-{i}").status == 401
    start = time.monotonic()
    answer = login(camera, "another-guess-of-many")
    assert time.monotonic() - start > 0.9, "wrong ones are slow now"
    assert (answer.status, answer.headers["retry-after"]) == (429, "61")
    assert b"Too many wrong tokens. Wait 61 s." in answer.body
    assert "set-cookie" not in answer.headers
    answer = request(camera.port, "/metrics", Authorization=f"Bearer {SECRET}x")
    assert (answer.status, answer.json["error"]) == (429, "too many wrong tokens; wait")
    # Right ones always enter.
    assert request(camera.port, "/metrics", Cookie=session).status == 200
    assert request(camera.port, "/metrics", Authorization=BEARER).status == 200
    assert login(camera, SECRET).status == 303
    clock.now += 60
    assert login(camera, "yet-another-guess-of-many").status == 401


def test_session_survives_a_restart(camera: Camera, token_file: Path) -> None:
    cookie = login(camera, SECRET).headers["set-cookie"].split("; ")[0]
    with Camera("--web-token-file", str(token_file)) as again:
        renamed = cookie.replace(str(camera.port), str(again.port), 1)
        assert request(again.port, "/api/stats", Cookie=renamed).status == 200


def test_token_is_never_logged(token_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        with Camera("--web-token-file", str(token_file)) as camera:
            request(camera.port, f"/?token={SECRET}")
            request(camera.port, "/metrics", Authorization=BEARER)
            request(camera.port, "/metrics", Authorization="Bearer " + SECRET[::-1])
            login(camera, SECRET)
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(logging.WARNING)
    printed = capfd.readouterr()
    logged = "\n".join([*lines, *camera.log, printed.out, printed.err])
    assert "web preview at" in logged
    assert SECRET not in logged
    assert SECRET[::-1] not in logged
    assert SECRET not in repr(camera.sinks[0].__dict__)


@pytest.mark.parametrize("where", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[fe80::1]:0"])
def test_non_loopback_address_requires_a_token(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(SettingError) as error:
        Camera("--web", where).__enter__()
    assert str(error.value).startswith(
        f"--web {where} can be reached from other machines and needs a token: (umask 077;"
    )
    assert TOKEN_VARIABLE in str(error.value)


def test_token_from_the_environment_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, SECRET)
    with Camera() as camera:
        assert camera.log[-1].endswith("/ (asks for the token)")
        assert request(camera.port, "/api/stats").status == 401
        assert request(camera.port, "/api/stats", Authorization=BEARER).status == 200


def test_contradicting_options_are_refused(token_file: Path) -> None:
    camera = Camera("--web-token-file", str(token_file))
    camera.args.web = None
    with pytest.raises(SettingError, match="--web-token-file has no effect without --web; add --web 8080"):
        camera.__enter__()
    for fps in ("0", "-1", "nan", "inf"):
        with pytest.raises(SettingError, match="--web-fps must be a number over 0"):
            Camera("--web-fps", fps).__enter__()


def test_port_in_use_is_an_error() -> None:
    with Camera() as camera, pytest.raises(EdgeSSDError, match=f"127.0.0.1:{camera.port}: the port is in use"):
        Camera("--web", str(camera.port)).__enter__()
