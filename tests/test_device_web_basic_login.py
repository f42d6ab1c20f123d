"""User and password of the web preview, alone and beside the token."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from web_camera import Camera
from web_client import SECRET, request, write_token

from device_apps.web.access.basic_login import LOGIN_VARIABLE, BasicLogin, read_login
from edge_ssd.errors import SettingError

LOGIN = "me:correct horse: bättery"
CHALLENGE = 'Basic realm="Edge SSD", charset="UTF-8"'


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


@pytest.fixture
def login_file(tmp_path: Path) -> Path:
    path = tmp_path / "web.login"
    path.write_text(f"{LOGIN}\n")
    path.chmod(0o600)
    return path


def test_only_the_login_matches() -> None:
    login = BasicLogin(LOGIN)
    assert login.matches(basic(LOGIN).removeprefix("Basic "))
    wrong = ["", "!", "ä", "AAAA", LOGIN, *(basic(text)[6:] for text in ("", ":", "me:", LOGIN[:-1], f"{LOGIN} "))]
    assert not any(login.matches(text) for text in wrong)
    assert "horse" not in repr(login.__dict__)


@pytest.mark.parametrize("secret", ["", "me", ":password", "me:short", "me:" + "x" * 1025, "me:two\nlines of it"])
def test_unusable_logins_are_refused(secret: str) -> None:
    with pytest.raises(SettingError, match=r"web\.login") as error:
        BasicLogin(secret)
    assert len(secret) < 10 or secret not in str(error.value)


def test_read_login(login_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_login(None, {}) is None
    assert read_login(None, {LOGIN_VARIABLE: LOGIN}) is not None
    assert read_login(login_file, {}) is not None
    assert caplog.messages == []
    login_file.chmod(0o644)
    read_login(login_file, {})
    assert "can read the web login; chmod 600" in caplog.text
    with pytest.raises(SettingError, match=r"--web-login-file .*: cannot be read: No such file"):
        read_login(tmp_path / "nothing", {})


def test_password_alone(login_file: Path) -> None:
    with Camera("--web-login-file", str(login_file)) as camera:
        assert camera.log[-1].endswith("(asks for user and password)")
        for headers in ({}, {"Accept": "text/html"}, {"Authorization": basic("me:wrong password")}):
            answer = request(camera.port, "/", **headers)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, CHALLENGE)
        for path in ("/", "/api/stats", "/snapshot.jpg"):
            assert request(camera.port, path, Authorization=basic(LOGIN)).status == 200
        assert request(camera.port, "/", Host="camera.lan", Authorization=basic(LOGIN)).status == 200
        change = {"Content_Type": "application/json", "Authorization": basic(LOGIN), "Origin": "http://evil.example"}
        assert request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0}', **change).status == 403
        assert request(camera.port, "/login").status == 404
        for _ in range(5):
            request(camera.port, "/", Authorization=basic("me:wrong password"))
        answer = request(camera.port, "/", Authorization=basic("me:wrong password"))
        assert (answer.status, answer.json["error"]) == (429, "too many wrong passwords; wait")
        assert request(camera.port, "/", Authorization=basic(LOGIN)).status == 200


def test_password_beside_the_token(login_file: Path, tmp_path: Path) -> None:
    with Camera("--web-login-file", str(login_file), "--web-token-file", str(write_token(tmp_path))) as camera:
        answer = request(camera.port, "/metrics")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, f"Bearer, {CHALLENGE}")
        assert request(camera.port, "/metrics", Authorization=f"Bearer {SECRET}").status == 200
        assert request(camera.port, "/metrics", Authorization=basic(LOGIN)).status == 200
        assert request(camera.port, "/metrics", Authorization=basic(f"x:{SECRET}")).status == 401
        # A browser gets the login page, and with it the way to its own dialog.
        assert request(camera.port, "/", Accept="text/html").headers["location"] == "/login"
        assert b'<a href="login/basic">' in request(camera.port, "/login").body
        answer = request(camera.port, "/login/basic", Accept="text/html")
        assert (answer.status, CHALLENGE in answer.headers["www-authenticate"]) == (401, True)
        answer = request(camera.port, "/login/basic", Accept="text/html", Authorization=basic(LOGIN))
        assert (answer.status, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"].split(";")[0]
        assert request(camera.port, "/", Cookie=cookie).status == 200


def test_password_allows_another_address_and_needs_web(login_file: Path) -> None:
    with Camera("--web", "0.0.0.0:0", "--web-login-file", str(login_file)) as camera:
        assert request(camera.port, "/healthz", Authorization=basic(LOGIN)).status in (200, 503)
    for option, value in (
        ("--web-login-file", str(login_file)),
        ("--web-root-path", "/x"),
        ("--web-trusted-proxy", "127.0.0.1"),
    ):
        camera = Camera(option, value)
        camera.args.web = None
        with pytest.raises(SettingError, match=f"{option} has no effect without --web"):
            camera.__enter__()
