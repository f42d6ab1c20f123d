"""What viewers of the web preview cost the loop: python tests/benchmarks/viewers.py [MODEL] [--seconds N]

The loop runs on frames of the shipped clip as fast as it can, with the preview on, in one process; the viewers, each
with the live picture and the feed open as the page has them, are another process, and some of them read the picture at
1 kB/s. Rounds without and with viewers take turns, so that both see the same machine. On a machine with few cores the
viewers themselves, and the kernel's copying for them, take from what the loop has; on a board they are elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

VIEWERS, SLOW, SLOW_BYTES_A_SECOND = 20, 5, 1000
RATIO_TARGET, GROWTH_TARGET_MB = 0.9, 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="default: the shipped one")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each round (default: 10)")
    parser.add_argument("--rounds", type=int, default=5, help="with and without viewers (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="of the interpreter (default: 1)")
    parser.add_argument("--fps", type=float, help="of the source (default: as fast as the loop takes them)")
    parser.add_argument("--width", type=int, help="scale the clip's frames to this width")
    parser.add_argument("--watch", metavar="PORT", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.watch is not None:
        watch(args.watch)
    else:
        print(json.dumps(measure(args), indent=2))


def measure(args: argparse.Namespace) -> dict[str, float]:
    from web_camera import Camera, LoopedFrames, clip_frames

    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.shipped_models import default_model

    detector = Detector(args.model or default_model(), num_threads=args.threads)
    source = LoopedFrames([scaled(frame, args.width) for frame in clip_frames()], args.fps)
    ratios, own_ratios, alone, watched, pictures, growth = [], [], [], [], [], []
    shares: dict[str, list[float]] = {"web pictures": [], "web server": []}
    with Camera(source=source, detector=detector) as camera:
        time.sleep(2)
        with Viewers(camera.port):
            time.sleep(2)  # What is loaded once, is.
        time.sleep(1)
        for _ in range(args.rounds):
            before = memory_mb()
            speed, own_alone = frames_a_second(camera, args.seconds)
            alone.append(speed)
            with Viewers(camera.port) as watching:
                time.sleep(1)
                start = {name: processor_seconds(name) for name in shares}
                speed, own_watched = frames_a_second(camera, args.seconds)
                watched.append(speed)
                for name, values in shares.items():
                    values.append((processor_seconds(name) - start[name]) / args.seconds)
                growth.append(memory_mb() - before)
            pictures.append(watching.pictures / (args.seconds + 1))
            ratios.append(watched[-1] / alone[-1])
            own_ratios.append(own_watched / own_alone)
            time.sleep(0.5)
    return {
        "frames a second without viewers": round(median(alone), 1),
        f"with {VIEWERS} viewers": round(median(watched), 1),
        "ratio": round(median(ratios), 3),
        "ratio target": RATIO_TARGET,
        "ratio by the loop's own processor time": round(median(own_ratios), 3),
        "pictures a second that a quick viewer got": round(median(pictures), 1),
        "percent of a core for drawing and encoding": round(100 * median(shares["web pictures"]), 1),
        "percent of a core for serving": round(100 * median(shares["web server"]), 1),
        "memory growth with viewers, MB": round(max(growth), 1),
        "memory growth target, MB": GROWTH_TARGET_MB,
    }


def scaled(frame, width: int | None):  # type: ignore[no-untyped-def]
    import cv2

    if width is None:
        return frame
    return cv2.resize(frame, (width, frame.shape[0] * width // frame.shape[1]))


def frames_a_second(camera, seconds: float) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """By the clock, and by the processor's time in the loop's thread, which a busy machine hardly disturbs.

    The second one leaves out waiting, for the interpreter's lock too.
    """
    start, own, frames = time.perf_counter(), processor_seconds("loop"), camera.stats.snapshot().frames
    time.sleep(seconds)
    frames = camera.stats.snapshot().frames - frames
    return frames / (time.perf_counter() - start), frames / (processor_seconds("loop") - own)


def processor_seconds(name: str) -> float:
    """What the thread of this name has used, by proc(5)."""
    (thread,) = (thread for thread in threading.enumerate() if thread.name == name)
    fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Viewers:
    """A process with all viewers, who are there when it is entered; a context manager.

    Attributes:
        pictures: what a quick one has been sent, once it is left.
    """

    def __init__(self, port: int) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--watch", str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pictures = 0

    def __enter__(self) -> Viewers:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "watching\n"
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.poll() is None
        self.pictures = int(self._process.communicate("", timeout=30)[0])


def watch(port: int) -> None:
    """Be all viewers until standard input ends."""
    streams = []
    for i in range(VIEWERS):
        for path in ("/stream", "/events"):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200, response.status
            streams.append((path == "/stream" and i < SLOW, response.fp.raw._sock))
    received = [0] * len(streams)
    for number, (slow, connection) in enumerate(streams):
        threading.Thread(target=read, args=(connection, slow, received, number), daemon=True).start()
    print("watching", flush=True)
    sys.stdin.read()
    size = len(one_picture(port))
    print(int(median(received[2 * SLOW :: 2]) / size))
    os._exit(0)


def read(connection, slow: bool, received: list[int], number: int) -> None:  # type: ignore[no-untyped-def]
    with contextlib.suppress(OSError):
        while data := connection.recv(100 if slow else 65536):
            received[number] += len(data)
            if slow:
                time.sleep(len(data) / SLOW_BYTES_A_SECOND)


def one_picture(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/stream")
    response = connection.getresponse()
    response.readline()
    return response.read(int(http.client.parse_headers(response)["Content-Length"]))


if __name__ == "__main__":
    main()
