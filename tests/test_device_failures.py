"""A source over real servers that fail in every way: it comes back each time, and nothing is left over.

How fast it does, over 200 failures: tests/benchmarks/reconnect.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from stream_servers import MjpegServer, RtspServer, cut, noise, number_of
from test_device_stalls import wait_for

from device_apps.sources import keeper
from device_apps.sources.frames import Source
from device_apps.sources.open_source import open_source

STALL_S = 0.5
OUTAGE_S = 0.3


def closed(server: MjpegServer) -> None:
    server.drop_clients()


def restarted(server: MjpegServer) -> None:
    with server.away():
        time.sleep(OUTAGE_S)


def restarted_with_another_size(server: MjpegServer) -> None:
    with server.away():
        server.size = (96, 64) if server.size == (160, 128) else (160, 128)


def silent(server: MjpegServer) -> None:
    server.mute.set()
    time.sleep(OUTAGE_S)
    server.mute.clear()


def silent_to_those_who_come(server: MjpegServer) -> None:
    server.mute.set()
    connections = server.connections
    server.drop_clients()
    wait_for(lambda: server.connections > connections)
    server.mute.clear()


def missing(server: MjpegServer) -> None:
    server.missing.set()
    server.drop_clients()
    time.sleep(OUTAGE_S)
    server.missing.clear()


FAILURES = (closed, restarted, restarted_with_another_size, silent, silent_to_those_who_come, missing)


def newer(source: Source, than: float) -> bool:
    """A picture that was read after that moment has come, and is one of the server's."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        frame = source.read(0.1)
        if frame is not None and frame.captured_at > than:
            number_of(frame.image)
            return True
    return False


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted as Linux shows them")
@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
def test_every_failure_is_recovered_from_and_nothing_is_left_over(
    kind: type[MjpegServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_STABLE_S", 0.0)  # So that pauses do not grow from one failure to the next.
    with kind(fps=60) as server, open_source(server.url, stall_timeout=STALL_S) as source:
        assert newer(source, 0.0)
        threads = {thread.name for thread in threading.enumerate() if server.url in thread.name}
        assert len(threads) == 2, "one that reads, one that watches"
        before = descriptors()
        for failures in range(1, 2 * len(FAILURES) + 1):
            fail: Callable[[MjpegServer], None] = FAILURES[failures % len(FAILURES)]
            fail(server)
            wait_for(lambda: source.counts.reconnects == failures, 30)  # noqa: B023
            assert newer(source, time.monotonic())
        assert source.counts.connected
        wait_for(lambda: sum(server.url in thread.name for thread in threading.enumerate()) == 2, 30)
        wait_for(lambda: descriptors() <= before, 30)
        assert server.size == (160, 128), "the size has changed an even number of times"


@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
@pytest.mark.parametrize("spoil", [noise, cut])
def test_pictures_that_are_spoilt_do_not_end_the_stream(
    kind: type[MjpegServer], spoil: Callable[[bytes], bytes]
) -> None:
    with kind(fps=60) as server, open_source(server.url) as source:
        assert newer(source, 0.0)
        sent = []

        def spoilt_now_and_then(picture: bytes) -> bytes:
            sent.append(picture)
            return spoil(picture) if len(sent) % 3 else picture

        server.spoil = spoilt_now_and_then
        wait_for(lambda: len(sent) > 30)
        server.spoil = lambda picture: picture
        time.sleep(0.1)
        assert newer(source, time.monotonic())
        assert (source.counts.reconnects, source.counts.stalls) == (0, 0)


def test_no_picture_but_bytes_of_another_kind() -> None:
    with MjpegServer(fps=60) as server, open_source(server.url, stall_timeout=STALL_S) as source:
        assert newer(source, 0.0)
        server.spoil = lambda picture: b"no picture"
        wait_for(lambda: not source.counts.connected, 30)
        server.spoil = lambda picture: picture
        assert newer(source, time.monotonic())
