"""The thread that does slow work."""

from __future__ import annotations

import threading
import time

import pytest
from event_parts import Notices, soon

from device_apps.events import background_writer as worker
from device_apps.events.background_writer import BackgroundWriter


def in_time() -> float:
    return time.monotonic() + 30


def test_items_are_handled_in_order_and_all_by_the_end() -> None:
    done: list[int] = []
    notices = Notices()
    work = BackgroundWriter("test", done.append, 1000, notices)
    assert all(work.put(i) for i in range(500))
    work.close(in_time())
    assert done == list(range(500))
    assert (work.lost, notices.lines) == (0, [])


def test_put_never_waits_and_what_finds_no_room_is_counted() -> None:
    go, started = threading.Event(), threading.Event()
    done: list[int] = []

    def slow(item: int) -> None:
        started.set()
        go.wait(30)
        done.append(item)

    notices = Notices()
    work = BackgroundWriter("a disk", slow, 2, notices)
    work.put(0)
    assert started.wait(30)
    assert [work.put(i) for i in range(1, 6)] == [True, True, False, False, False]
    assert work.lost == 3
    go.set()
    work.close(in_time())
    assert done == [0, 1, 2]
    assert notices.lines == [
        "a disk: more comes than can be written; what finds no room is left out",
        "a disk: 3 could not be written and were left out",
    ]


def test_what_fails_is_tried_again_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_TRY_AGAIN_S", 0.01)
    full = threading.Event()
    full.set()
    done: list[int] = []
    tries = []

    def handle(item: int) -> None:
        tries.append(item)
        if full.is_set():
            raise OSError(28, "No space left on device")
        done.append(item)

    notices = Notices()
    work = BackgroundWriter("file", handle, 10, notices)
    for i in range(3):
        work.put(i)
    soon(lambda: len(tries) > 5)
    assert set(tries) == {0}
    full.clear()
    soon(lambda: len(done) == 3)
    work.put(3)
    work.close(in_time())
    assert done == [0, 1, 2, 3]
    assert notices.lines == [
        "file: cannot be written: No space left on device; detection goes on, and it is tried again",
        "file: can be written again",
    ]


def test_the_end_does_not_wait_for_a_disk_that_stays_full() -> None:
    def handle(item: int) -> None:
        raise OSError(28, "No space left on device")

    work = BackgroundWriter("file", handle, 10, Notices())
    for i in range(3):
        work.put(i)
    work.close(in_time())
    assert work.lost == 3


def test_the_end_does_not_wait_for_a_thread_that_is_stuck() -> None:
    stuck = threading.Event()
    notices = Notices()
    work = BackgroundWriter("network disk", lambda item: stuck.wait(60), 2, notices)
    for i in range(3):
        work.put(i)
    soon(lambda: work.put(9) is True or work.lost > 0)
    start = time.monotonic()
    work.close(start + 0.2)
    assert time.monotonic() - start < 20
    assert notices.lines
    stuck.set()


def test_a_reader_that_went_away_is_remembered() -> None:
    def handle(item: int) -> None:
        raise BrokenPipeError

    work = BackgroundWriter("pipe", handle, 10, Notices())
    work.put(1)
    soon(lambda: work.failure is not None)
    work.close(in_time())
    assert isinstance(work.failure, BrokenPipeError)
