"""The background thread that writes events and snapshots."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from clocks import wait_until

from device_apps.background_writer import BackgroundWriter


def in_30_seconds() -> float:
    return time.monotonic() + 30


def raise_disk_full(item: int) -> None:
    raise OSError(28, "No space left on device")


def test_background_writer_handles_all_items_in_order(caplog: pytest.LogCaptureFixture) -> None:
    written: list[int] = []
    writer = BackgroundWriter("test", written.append, 1000)
    assert all(writer.put(i) for i in range(500))
    writer.close(in_30_seconds())
    assert written == list(range(500))
    assert (writer.lost, caplog.messages) == (0, [])


def test_put_drops_and_counts_items_when_the_queue_is_full(caplog: pytest.LogCaptureFixture) -> None:
    proceed, started = threading.Event(), threading.Event()
    written: list[int] = []

    def slow(item: int) -> None:
        started.set()
        proceed.wait(30)
        written.append(item)

    writer = BackgroundWriter("a disk", slow, 2)
    writer.put(0)
    assert started.wait(30)
    assert [writer.put(i) for i in range(1, 6)] == [True, True, False, False, False]
    assert writer.lost == 3
    proceed.set()
    writer.close(in_30_seconds())
    assert written == [0, 1, 2]
    assert caplog.messages == [
        "a disk: items arrive faster than they can be written; some are dropped",
        "a disk: 3 could not be written and were dropped",
    ]


def test_background_writer_retries_a_failed_item_and_logs_it_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    disk_full = threading.Event()
    disk_full.set()
    written: list[int] = []
    attempts = []

    def handle(item: int) -> None:
        attempts.append(item)
        if disk_full.is_set():
            raise_disk_full(item)
        written.append(item)

    writer = BackgroundWriter("file", handle, 10, retry_seconds=0.01)
    for i in range(3):
        writer.put(i)
    wait_until(lambda: len(attempts) > 5)
    assert set(attempts) == {0}
    disk_full.clear()
    wait_until(lambda: len(written) == 3)
    writer.put(3)
    writer.close(in_30_seconds())
    assert written == [0, 1, 2, 3]
    assert caplog.messages == [
        "file: cannot be written: No space left on device; detection goes on, will retry",
        "file: can be written again",
    ]


def test_close_does_not_wait_for_a_disk_that_stays_full() -> None:
    writer = BackgroundWriter("file", raise_disk_full, 10)
    for i in range(3):
        writer.put(i)
    writer.close(in_30_seconds())
    assert writer.lost == 3


def test_close_abandons_a_blocked_thread(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    writer = BackgroundWriter("network disk", lambda item: release.wait(60), 2)
    for i in range(3):
        writer.put(i)
    wait_until(lambda: writer.put(9) is True or writer.lost > 0)
    start = time.monotonic()
    writer.close(start + 0.2)
    assert time.monotonic() - start < 20
    assert caplog.messages
    release.set()


def test_close_at_once_loses_nothing_that_is_written(caplog: pytest.LogCaptureFixture) -> None:
    """As when another output cannot be opened."""
    written: list[int] = []
    writer = BackgroundWriter("file", written.append, 2)
    writer.put(1)
    wait_until(lambda: written == [1])
    time.sleep(0.01)
    writer.close(0.0)
    assert (writer.lost, caplog.messages) == (0, [])


def test_background_writer_keeps_the_error_of_a_closed_pipe() -> None:
    def handle(item: int) -> None:
        raise BrokenPipeError

    writer = BackgroundWriter("pipe", handle, 10)
    writer.put(1)
    wait_until(lambda: writer.failure is not None)
    writer.close(in_30_seconds())
    assert isinstance(writer.failure, BrokenPipeError)


def test_other_errors_drop_their_item_and_end_the_program() -> None:
    written: list[int] = []

    def handle(item: int) -> None:
        if item in (1, 3):
            raise ValueError(f"item {item}")
        written.append(item)

    writer = BackgroundWriter("file", handle, 10)
    for i in range(5):
        writer.put(i)
    writer.close(in_30_seconds())
    assert written == [0, 2, 4]
    assert writer.lost == 2
    assert str(writer.failure) == "file: cannot be written: ValueError: item 1; --debug shows where"
