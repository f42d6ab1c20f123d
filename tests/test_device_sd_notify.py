"""Messages to systemd, received by a datagram socket of the test."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clocks import Clock
from event_factory import result

from device_apps.sd_notify import SystemdNotifier, notify, watchdog_seconds
from device_apps.stats import Stats

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="systemd is Linux only")


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield receiver


def received(receiver: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages += receiver.recv(4096).decode().splitlines()
        except BlockingIOError:
            return messages


RESULT = result(0.0, 0)


def test_notify_sends_a_complete_message(receiver: socket.socket) -> None:
    assert notify("READY=1\nSTATUS=25 °C")
    assert received(receiver) == ["READY=1", "STATUS=25 °C"]


def test_notify_supports_abstract_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"edge-ssd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        assert notify("READY=1")
        assert receiver.recv(100) == b"READY=1"


def test_notify_without_a_receiver_returns_false(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:2:1234")
    assert not notify("READY=1")


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("60000000", None, 60.0),
        ("500000", os.getpid(), 0.5),
        ("60000000", 1, None),
        ("0", None, None),
        ("x", None, None),
        (None, None, None),
    ],
)
def test_watchdog_seconds_reads_the_environment(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: int | None, seconds: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(value))
    assert watchdog_seconds() == seconds


def test_notifier_is_ready_with_the_first_frame_and_stopping_at_exit(receiver: socket.socket) -> None:
    with SystemdNotifier(Stats()) as sink:
        assert received(receiver) == []
        sink.write(RESULT)
        assert received(receiver) == ["READY=1", "STATUS=waiting for frames"]
        sink.write(RESULT)
        assert received(receiver) == []
    assert received(receiver) == ["STOPPING=1"]


def test_notifier_is_ready_while_the_source_is_retried(receiver: socket.socket) -> None:
    sink = SystemdNotifier()
    sink.waiting("waiting for camera 0")
    sink.waiting("waiting for camera 0")
    assert received(receiver) == ["READY=1", "STATUS=waiting for camera 0"]


def test_notifier_sends_keep_alives_at_a_quarter_of_the_timeout(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    clock = Clock()
    sink = SystemdNotifier(Stats(), clock)
    keep_alives = []
    for clock.now in range(0, 21):
        sink.write(RESULT) if clock.now % 2 else sink.idle()
        if "WATCHDOG=1" in received(receiver):
            keep_alives.append(clock.now)
    assert keep_alives == [0, 5, 10, 15, 20]


def test_notifier_status_has_the_frame_rate(receiver: socket.socket) -> None:
    clock = Clock()
    stats = Stats(clock=clock)
    sink = SystemdNotifier(stats, clock)
    for number in range(21):
        clock.now = number / 2
        stats.add(RESULT)
        sink.write(RESULT)
    assert [line for line in received(receiver) if line.startswith("STATUS=")] == [
        "STATUS=waiting for frames",
        "STATUS=2.0 frames per second",
    ]
