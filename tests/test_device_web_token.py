"""The token, its sessions and the login rate limit, with a clock that the tests set."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from clocks import Clock
from web_client import SECRET, write_token

from device_apps.web.access.rate_limiter import LoginRateLimiter
from device_apps.web.access.token import CREATE_TOKEN_HINT, TOKEN_VARIABLE, Token, read_token
from edge_ssd.errors import SettingError


def test_only_the_token_matches() -> None:
    token = Token(SECRET)
    assert token.matches(SECRET)
    for wrong in ("", SECRET[:-1], SECRET + "x", SECRET.upper(), "bätterie", "\udcff"):
        assert not token.matches(wrong)


@pytest.mark.parametrize(
    "secret", ["", "short", "x" * 15, "x" * 1025, "sixteen chars and spaces", "sixteen-chärs-or-so"]
)
def test_unusable_tokens_are_refused(secret: str) -> None:
    with pytest.raises(SettingError) as error:
        Token(secret)
    assert "web.token" in str(error.value), "the message names the command that makes one"
    assert len(secret) < 5 or secret not in str(error.value)


def test_session_expires_and_hides_the_token() -> None:
    clock = Clock()
    token = Token(SECRET, clock)
    cookie = token.new_session()
    assert SECRET not in cookie
    assert re.fullmatch(r"\d+\.[0-9a-f]{64}", cookie), "only characters that are valid in a cookie"
    assert token.is_valid_session(cookie)
    assert Token(SECRET, clock).is_valid_session(cookie), "after a restart too"
    assert not Token(SECRET + "x", clock).is_valid_session(cookie)
    clock.now += 30 * 24 * 3600
    assert not token.is_valid_session(cookie)


def test_forged_sessions_are_refused() -> None:
    clock = Clock()
    token = Token(SECRET, clock)
    end, signature = token.new_session().split(".")
    altered = (f"{int(end) + 1}.{signature}", f"{end}.{signature[:-1]}", f"{end}.", f".{signature}")
    for forged in ("", ".", "a.b.c", "ä.ö", end, *altered):
        assert not token.is_valid_session(forged)


def test_read_token_from_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_token(tmp_path, f"{SECRET}\n".encode())
    token = read_token(path, {TOKEN_VARIABLE: "another-one-that-is-not-used"})
    assert token.matches(SECRET)
    assert caplog.messages == []
    path.chmod(0o644)
    read_token(path)
    assert caplog.messages == [f"{path}: other users of this machine can read the web token; chmod 600 {path}"]


def test_read_token_from_the_environment() -> None:
    token = read_token(None, {TOKEN_VARIABLE: SECRET})
    assert token.matches(SECRET)
    assert read_token(None, {}) is None
    with pytest.raises(SettingError):
        read_token(None, {TOKEN_VARIABLE: ""})


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff" * 40, b"two lines\nof sixteen", b"x" * 5000])
def test_read_token_refuses_invalid_files(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        write_token(tmp_path, content)
    with pytest.raises(SettingError) as error:
        read_token(tmp_path / "web.token")
    assert "make one with (umask 077; " in str(error.value)
    assert "\n" not in str(error.value)


def test_recommended_command_creates_a_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    command = CREATE_TOKEN_HINT.partition(", then")[0]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert read_token(tmp_path / "web.token") is not None
    assert caplog.messages == []


def test_five_failures_a_minute_are_allowed() -> None:
    clock = Clock()
    rate_limiter = LoginRateLimiter(clock)
    for _ in range(5):
        assert rate_limiter.retry_after("192.168.1.7") == 0
        rate_limiter.record_failure("192.168.1.7")
        clock.now += 1
    assert rate_limiter.retry_after("192.168.1.7") == 55
    assert rate_limiter.retry_after("192.168.1.8") == 0, "other addresses are not limited"
    clock.now += 55
    assert rate_limiter.retry_after("192.168.1.7") == 0
    rate_limiter.record_failure("192.168.1.7")
    assert rate_limiter.retry_after("192.168.1.7") == 1, "until the second of the five is a minute old"


def test_ipv6_network_counts_as_one_address() -> None:
    rate_limiter = LoginRateLimiter(Clock())
    for i in range(5):
        rate_limiter.record_failure(f"2001:db8:1:2::{i}")
    assert rate_limiter.retry_after("2001:db8:1:2:ffff::1") > 0
    assert rate_limiter.retry_after("2001:db8:1:3::1") == 0
    for _ in range(5):
        rate_limiter.record_failure("::ffff:192.168.1.7")
    assert rate_limiter.retry_after("192.168.1.7") > 0


def test_total_failures_and_memory_are_limited() -> None:
    clock = Clock()
    rate_limiter = LoginRateLimiter(clock)
    for i in range(100):
        assert rate_limiter.retry_after("10.9.9.9") == 0
        rate_limiter.record_failure(f"10.0.0.{i}")
    assert rate_limiter.retry_after("10.9.9.9") == 60
    for i in range(3000):
        rate_limiter.record_failure(f"10.1.{i // 256}.{i % 256}")
    assert len(rate_limiter._by_address) == 1000
    assert len(rate_limiter._all) == 100
    clock.now += 60
    assert rate_limiter.retry_after("10.9.9.9") == 0
