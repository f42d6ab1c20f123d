"""The token, its sessions, and the limit to guessing, at times that the tests choose."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from device_apps.web.token import HOW_TO_MAKE_ONE, VARIABLE, LoginRateLimiter, Token, read_token
from edge_ssd.errors import SettingError

SECRET = "correct-horse-battery-staple"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_only_the_token_matches() -> None:
    token = Token(SECRET)
    assert token.matches(SECRET)
    for wrong in ("", SECRET[:-1], SECRET + "x", SECRET.upper(), "bätterie", "\udcff"):
        assert not token.matches(wrong)


@pytest.mark.parametrize(
    "secret", ["", "short", "x" * 15, "x" * 1025, "sixteen chars and spaces", "sixteen-chärs-or-so"]
)
def test_tokens_that_are_none(secret: str) -> None:
    with pytest.raises(SettingError) as error:
        Token(secret)
    assert "web.token" in str(error.value), "says how to make one"
    assert len(secret) < 5 or secret not in str(error.value)


def test_a_session_is_not_the_token_and_ends() -> None:
    clock = Clock()
    token = Token(SECRET, clock)
    cookie = token.new_session()
    assert SECRET not in cookie
    assert re.fullmatch(r"\d+\.[0-9a-f]{64}", cookie), "nothing that a cookie cannot hold"
    assert token.knows_session(cookie)
    assert Token(SECRET, clock).knows_session(cookie), "after a restart too"
    assert not Token(SECRET + "x", clock).knows_session(cookie)
    clock.now += 30 * 24 * 3600
    assert not token.knows_session(cookie)


def test_forged_sessions() -> None:
    clock = Clock()
    token = Token(SECRET, clock)
    end, signature = token.new_session().split(".")
    later = str(int(end) + 1)
    for forged in (
        "",
        ".",
        end,
        f"{later}.{signature}",
        f"{end}.{signature[:-1]}",
        f"{end}.",
        f".{signature}",
        "a.b.c",
        "ä.ö",
    ):
        assert not token.knows_session(forged)


def test_a_token_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "web.token"
    path.write_text(f"{SECRET}\n")
    notices: list[str] = []
    path.chmod(0o600)
    token = read_token(path, notices.append, {VARIABLE: "another-one-that-is-not-used"})
    assert token is not None
    assert token.matches(SECRET)
    assert notices == []
    path.chmod(0o644)
    read_token(path, notices.append)
    assert notices == [f"{path}: other users of this machine can read the web token; chmod 600 {path}"]


def test_a_token_from_the_environment() -> None:
    token = read_token(None, print, {VARIABLE: SECRET})
    assert token is not None
    assert token.matches(SECRET)
    assert read_token(None, print, {}) is None
    with pytest.raises(SettingError):
        read_token(None, print, {VARIABLE: ""})


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff" * 40, b"two lines\nof sixteen", b"x" * 5000])
def test_a_file_that_is_no_token(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "web.token"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(SettingError) as error:
        read_token(path, print)
    assert "make one with (umask 077; " in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_that_is_recommended_makes_a_token(tmp_path: Path) -> None:
    command = HOW_TO_MAKE_ONE.partition(", then")[0]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    notices: list[str] = []
    assert read_token(tmp_path / "web.token", notices.append) is not None
    assert notices == []


def test_five_wrong_ones_a_minute() -> None:
    clock = Clock()
    guesses = LoginRateLimiter(clock)
    for _ in range(5):
        assert guesses.wait_s("192.168.1.7") == 0
        guesses.add("192.168.1.7")
        clock.now += 1
    assert guesses.wait_s("192.168.1.7") == 55
    assert guesses.wait_s("192.168.1.8") == 0, "others are not concerned"
    clock.now += 55
    assert guesses.wait_s("192.168.1.7") == 0
    guesses.add("192.168.1.7")
    assert guesses.wait_s("192.168.1.7") == 1, "until the second of the five is a minute old"


def test_a_household_of_ipv6_is_one_address() -> None:
    guesses = LoginRateLimiter(Clock())
    for i in range(5):
        guesses.add(f"2001:db8:1:2::{i}")
    assert guesses.wait_s("2001:db8:1:2:ffff::1") > 0
    assert guesses.wait_s("2001:db8:1:3::1") == 0
    for _ in range(5):
        guesses.add("::ffff:192.168.1.7")
    assert guesses.wait_s("192.168.1.7") > 0


def test_many_addresses_are_limited_together_and_cost_no_memory() -> None:
    clock = Clock()
    guesses = LoginRateLimiter(clock)
    for i in range(100):
        assert guesses.wait_s("10.9.9.9") == 0
        guesses.add(f"10.0.0.{i}")
    assert guesses.wait_s("10.9.9.9") == 60
    for i in range(3000):
        guesses.add(f"10.1.{i // 256}.{i % 256}")
    assert len(guesses._by_address) == 1000
    assert len(guesses._all) == 100
    clock.now += 60
    assert guesses.wait_s("10.9.9.9") == 0
