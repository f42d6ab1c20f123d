"""A source reconnects after every kind of failure of a real server, and leaks neither threads nor descriptors.

How fast it reconnects, over 200 failures: tests/benchmarks/reconnect.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from clocks import wait_until
from stream_servers import MjpegServer, RtspServer, cut, noise, number_of

from device_apps.sources.frames import Source
from device_apps.sources.open_source import open_source
from device_apps.sources.timeouts import CaptureTimeouts

TIMEOUTS = CaptureTimeouts(stall=0.4, retry_pause=lambda attempt: 0.05)
OUTAGE_S = 0.2


def closed(server: MjpegServer) -> None:
    server.drop_clients()


def restarted(server: MjpegServer) -> None:
    with server.away():
        time.sleep(OUTAGE_S)


def restarted_with_another_size(server: MjpegServer) -> None:
    with server.away():
        server.size = (96, 64) if server.size == (160, 128) else (160, 128)


def mute(server: MjpegServer) -> None:
    server.mute.set()
    time.sleep(OUTAGE_S)
    server.mute.clear()


def mute_to_new_connections(server: MjpegServer) -> None:
    server.mute.set()
    connections = server.connections
    server.drop_clients()
    wait_until(lambda: server.connections > connections)
    server.mute.clear()


def missing(server: MjpegServer) -> None:
    server.missing.set()
    server.drop_clients()
    time.sleep(OUTAGE_S)
    server.missing.clear()


FAILURES = (closed, restarted, restarted_with_another_size, mute, mute_to_new_connections, missing)


def has_frame_after(source: Source, seconds: float) -> bool:
    """Return whether the source delivers a frame of the server that was read after a time of the monotonic clock."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        frame = source.read(0.1)
        if frame is not None and frame.captured_at > seconds:
            number_of(frame.image)
            return True
    return False


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
def test_source_recovers_from_every_failure_without_leaks(kind: type[MjpegServer]) -> None:
    with kind(fps=60) as server, open_source(server.url, timeouts=TIMEOUTS) as source:
        assert has_frame_after(source, 0.0)
        threads = {thread.name for thread in threading.enumerate() if server.url in thread.name}
        assert len(threads) == 2, "a capture thread and a watchdog"
        before = open_descriptors()
        for failures in range(1, 2 * len(FAILURES) + 1):
            fail: Callable[[MjpegServer], None] = FAILURES[failures % len(FAILURES)]
            fail(server)
            wait_until(lambda: source.counts.reconnects == failures, 30)  # noqa: B023
            assert has_frame_after(source, time.monotonic())
        assert source.counts.connected
        wait_until(lambda: sum(server.url in thread.name for thread in threading.enumerate()) == 2, 30)
        wait_until(lambda: open_descriptors() <= before, 30)
        assert server.size == (160, 128), "the size has changed an even number of times"


@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
@pytest.mark.parametrize("spoil", [noise, cut])
def test_corrupt_images_do_not_end_the_stream(kind: type[MjpegServer], spoil: Callable[[bytes], bytes]) -> None:
    with kind(fps=60) as server, open_source(server.url) as source:
        assert has_frame_after(source, 0.0)
        sent = []

        def spoil_often(jpeg: bytes) -> bytes:
            sent.append(jpeg)
            return spoil(jpeg) if len(sent) % 3 else jpeg

        server.spoil = spoil_often
        wait_until(lambda: len(sent) > 30)
        server.spoil = lambda jpeg: jpeg
        time.sleep(0.1)
        assert has_frame_after(source, time.monotonic())
        assert (source.counts.reconnects, source.counts.stalls) == (0, 0)


def test_stream_recovers_from_data_that_is_not_an_image() -> None:
    with MjpegServer(fps=60) as server, open_source(server.url, timeouts=TIMEOUTS) as source:
        assert has_frame_after(source, 0.0)
        server.spoil = lambda jpeg: b"not an image"
        wait_until(lambda: not source.counts.connected, 30)
        server.spoil = lambda jpeg: jpeg
        assert has_frame_after(source, time.monotonic())
