"""Time to recover from 200 failures of a source: python tests/benchmarks/reconnect.py [failures] [http|rtsp]

Servers of MJPEG over HTTP and of RTSP on loopback. Each failure lasts a random time; the time is measured from its end
to the first new frame in the loop. The limit is 3 s. The kinds of failure are repeated in one process and over one
source each for HTTP and RTSP, as in months of operation; growing resources, with those of
the server in the same process, are printed at the end. The memory of the source alone is measured by reconnects to a
server in another process.
"""

from __future__ import annotations

import gc
import multiprocessing
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stream_servers import MjpegServer, RtspServer, cut, noise

from device_apps.sources.capture import CaptureSource
from device_apps.sources.http_camera import open_http
from device_apps.sources.open_source import Source, open_source
from device_apps.sources.timeouts import CaptureTimeouts

LIMIT_S = 3.0
GIVE_UP_S = 60.0
Server = MjpegServer | RtspServer
Failure = Callable[[Server], AbstractContextManager[None]]


@contextmanager
def while_set(event: threading.Event) -> Iterator[None]:
    """Set an event of the server while the context is entered."""
    event.set()
    yield
    event.clear()


@contextmanager
def closed_socket(server: Server) -> Iterator[None]:
    """Close the connection; serve the next one."""
    server.drop_clients()
    yield


@contextmanager
def restart(server: Server) -> Iterator[None]:
    """Close the connection and refuse new ones for some time."""
    with server.away():
        yield


def silence(server: Server) -> AbstractContextManager[None]:
    """Send nothing on open connections, and never on those that are opened meanwhile."""
    return while_set(server.mute)


def pause(server: Server) -> AbstractContextManager[None]:
    """Send nothing for some time, then continue on the same connection."""
    return while_set(server.paused)


@contextmanager
def silence_on_opening(server: Server) -> Iterator[None]:
    """Close the connection; accept new ones without a response."""
    with while_set(server.mute):
        server.drop_clients()
        yield


@contextmanager
def corrupt(server: Server) -> Iterator[None]:
    """Send noise or truncated images."""
    server.spoil = random.choice((noise, cut))
    yield
    server.spoil = lambda jpeg: jpeg


@contextmanager
def size_change(server: Server) -> Iterator[None]:
    """Close the connection and restart with another image size."""
    with server.away():
        server.size = (96, 64) if server.size == (160, 128) else (160, 128)
        yield


@contextmanager
def missing(server: Server) -> Iterator[None]:
    """Close the connection and respond with 404 for some time."""
    with while_set(server.missing):
        server.drop_clients()
        yield


KINDS: list[Failure] = [closed_socket, restart, silence, pause, silence_on_opening, corrupt, size_change, missing]


def read_frames(source: Source, stop: threading.Event, last_frame: dict[str, float]) -> None:
    """Read every frame and record its time and width."""
    while not stop.is_set():
        frame = source.read(0.05)
        if frame is not None:
            last_frame["at"], last_frame["width"] = frame.captured_at, frame.image.shape[1]


def seconds_to_recover(kind: Failure, server: Server, source: Source, last_frame: dict[str, float]) -> float:
    """Return the time from the end of one failure to the next frame; infinite if there is none in a minute."""
    before = source.counts.reconnects
    with kind(server):
        time.sleep(0.0 if kind is closed_socket else random.uniform(0.0, 6.0))
    back = time.monotonic()
    while time.monotonic() < back + GIVE_UP_S:
        reconnected = source.counts.reconnects > before or kind in (pause, corrupt)
        resized = kind is not size_change or last_frame["width"] == server.size[0]
        if reconnected and resized and last_frame["at"] > back:
            return last_frame["at"] - back
        time.sleep(0.005)
    return float("inf")


def resources() -> dict[str, int]:
    """Return threads, descriptors and resident kilobytes of this process, which includes the server."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return {
        "threads": threading.active_count(),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "resident kB": int(resident),
    }


def min_resources(seconds: float = 20.0) -> dict[str, int]:
    """Return the minimum over some seconds, in which abandoned threads end."""
    readings = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        readings.append(resources())
        time.sleep(0.5)
    return {key: min(reading[key] for reading in readings) for key in readings[0]}


def serve(pipe: Connection) -> None:
    """Run a server in a process of its own that closes each connection after three images."""
    with MjpegServer(fps=500, frames=3) as server:
        pipe.send(server.url)
        pipe.poll(None)


def memory_of_reconnects() -> None:
    """Print the memory of the process after 200 and after 1000 reconnects."""
    context = multiprocessing.get_context("fork")
    parent, child = context.Pipe()
    process = context.Process(target=serve, args=(child,))
    process.start()
    kilobytes = []
    timeouts = CaptureTimeouts(retry_pause=lambda attempt: 0.0)
    with CaptureSource(partial(open_http, parent.recv(), timeouts), "separate server", timeouts=timeouts) as source:
        for reconnects in (200, 1000):
            while source.counts.reconnects < reconnects:
                source.read(0.05)
            kilobytes.append(resources()["resident kB"])
    parent.send("end")
    process.join()
    print(f"separate server: resident kB {kilobytes[0]} after 200 reconnects, {kilobytes[1]} after 1000")


def main() -> int:
    failures = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    servers = [server for server in (MjpegServer, RtspServer) if server.scheme in sys.argv[2:] or len(sys.argv) < 3]
    memory_of_reconnects()
    random.seed(5)
    recovery: dict[tuple[str, str], list[float]] = {}
    for server_class in servers:
        stop = threading.Event()
        with server_class(fps=30) as server, open_source(server.url) as source:
            last_frame: dict[str, float] = {"at": 0.0, "width": 0.0}
            loop = threading.Thread(target=read_frames, args=(source, stop, last_frame))
            loop.start()
            failures_per_server = failures // len(servers)
            before: dict[str, int] = {}
            for number in range(failures_per_server):
                kind = KINDS[number % len(KINDS)]
                if number == len(KINDS):  # After each kind once, when all modules are loaded.
                    before = min_resources()
                seconds = seconds_to_recover(kind, server, source, last_frame)
                recovery.setdefault((kind.__name__.replace("_", " "), server.scheme), []).append(seconds)
                print(f"{number + 1:4} {server.scheme:4} {kind.__name__:20} {seconds:6.2f} s", file=sys.stderr)
                time.sleep(random.uniform(0.2, 1.0))
            after = min_resources()
            print(f"{server.scheme}: {source.counts}")
            for key, value in before.items():
                print(f"  {key:12} {value} after {len(KINDS)} failures, {after[key]} after {failures_per_server}")
            stop.set()
            loop.join()
    print(f"{'failure':22}{'':6}{'times':>6}{'median':>9}{'worst':>9}")
    for (name, scheme), times in sorted(recovery.items()):
        worst = max(times)
        print(f"{name:22}{scheme:6}{len(times):6}{median(times):7.2f} s{worst:7.2f} s")
    all_times = [seconds for times in recovery.values() for seconds in times]
    late = sum(seconds > LIMIT_S for seconds in all_times)
    print(f"{len(all_times)} failures: median {median(all_times):.2f} s, worst {max(all_times):.2f} s, {late} late")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
