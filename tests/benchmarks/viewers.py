"""Cost of viewers of the web preview: python tests/benchmarks/viewers.py [MODEL] [--seconds N]

The loop runs on frames of the shipped clip at full speed, with the preview, in one process. The viewers are another
process: each has the connection of the page open (/live: frames, statistics and events), and some read it at 1 kB/s.
Rounds without and with viewers alternate, so that drift of the machine affects both equally. With few cores the viewers
and the kernel's copying for them compete with the loop; on a board, viewers run on other machines.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

VIEWERS, SLOW_VIEWERS, SLOW_BYTES_PER_SECOND = 20, 5, 1000
RATIO_TARGET, GROWTH_TARGET_MB = 0.9, 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="default: the shipped model")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each round (default: 10)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds with and without viewers (default: 5)")
    parser.add_argument("--threads", type=int, default=1, help="interpreter threads (default: 1)")
    parser.add_argument("--fps", type=float, help="frame rate of the source (default: no limit)")
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
    from edge_ssd.runtime.shipped_models import find_model

    detector = Detector(args.model or find_model("banana"), num_threads=args.threads)
    source = LoopedFrames([scaled(frame, args.width) for frame in clip_frames()], args.fps)
    ratios, cpu_ratios, fps_alone, fps_watched, viewer_fps, growth = [], [], [], [], [], []
    shares: dict[str, list[float]] = {"web encoder": [], "web server": []}
    with Camera(source=source, detector=detector) as camera:
        time.sleep(2)
        with Viewers(camera.port):
            time.sleep(2)  # Loads everything that is loaded once.
        time.sleep(1)
        for _ in range(args.rounds):
            before = memory_mb()
            fps, cpu_alone = measure_fps(camera, args.seconds)
            fps_alone.append(fps)
            with Viewers(camera.port) as watching:
                time.sleep(1)
                start = {name: cpu_seconds(name) for name in shares}
                fps, cpu_watched = measure_fps(camera, args.seconds)
                fps_watched.append(fps)
                for name, values in shares.items():
                    values.append((cpu_seconds(name) - start[name]) / args.seconds)
                growth.append(memory_mb() - before)
            viewer_fps.append(watching.frames / (args.seconds + 1))
            ratios.append(fps_watched[-1] / fps_alone[-1])
            cpu_ratios.append(cpu_watched / cpu_alone)
            time.sleep(0.5)
    return {
        "frames per second without viewers": round(median(fps_alone), 1),
        f"with {VIEWERS} viewers": round(median(fps_watched), 1),
        "ratio": round(median(ratios), 3),
        "ratio target": RATIO_TARGET,
        "ratio by CPU time of the loop": round(median(cpu_ratios), 3),
        "frames per second of a fast viewer": round(median(viewer_fps), 1),
        "percent of a core for drawing and encoding": round(100 * median(shares["web encoder"]), 1),
        "percent of a core for serving": round(100 * median(shares["web server"]), 1),
        "memory growth with viewers, MB": round(max(growth), 1),
        "memory growth target, MB": GROWTH_TARGET_MB,
    }


def scaled(frame, width: int | None):  # type: ignore[no-untyped-def]
    import cv2

    if width is None:
        return frame
    return cv2.resize(frame, (width, frame.shape[0] * width // frame.shape[1]))


def measure_fps(camera, seconds: float) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Return frames per second of time, and of CPU time of the loop's thread, which other load hardly affects.

    CPU time does not include waiting, also for the interpreter's lock.
    """
    start, cpu_start, frames = time.perf_counter(), cpu_seconds("loop"), camera.stats.snapshot().frames
    time.sleep(seconds)
    frames = camera.stats.snapshot().frames - frames
    return frames / (time.perf_counter() - start), frames / (cpu_seconds("loop") - cpu_start)


def cpu_seconds(name: str) -> float:
    """Return the CPU time of the thread with this name, from proc(5)."""
    (thread,) = (thread for thread in threading.enumerate() if thread.name == name)
    fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Viewers:
    """Process of all viewers, connected while the context is entered.

    Attributes:
        frames: number of frames that a fast viewer received, known afterwards.
    """

    def __init__(self, port: int) -> None:
        command = [sys.executable, str(Path(__file__).resolve()), "--watch", str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.frames = 0

    def __enter__(self) -> Viewers:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "watching\n"
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.poll() is None
        self.frames = int(self._process.communicate("", timeout=30)[0])


def watch(port: int) -> None:
    """Connect all viewers and read until standard input ends."""
    frames = [0] * VIEWERS
    for number in range(VIEWERS):
        response = get(port, "/live")
        assert response.status == 200, response.status
        read = read_slowly if number < SLOW_VIEWERS else count_frames
        threading.Thread(target=read, args=(response, frames, number), daemon=True).start()
    print("watching", flush=True)
    sys.stdin.read()
    print(int(median(frames[SLOW_VIEWERS:])))
    os._exit(0)


def count_frames(response: http.client.HTTPResponse, frames: list[int], number: int) -> None:
    """Read the parts of the page's connection: two lengths, JSON, and the JPEG of a frame."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        while lengths := response.read(8):
            head, jpeg = struct.unpack(">II", lengths)
            response.read(head + jpeg)
            frames[number] += jpeg > 0


def read_slowly(response: http.client.HTTPResponse, frames: list[int], number: int) -> None:
    connection = response.fp.raw._sock  # Below the buffer of the response, which would read ahead.
    with contextlib.suppress(OSError):
        while data := connection.recv(100):
            time.sleep(len(data) / SLOW_BYTES_PER_SECOND)


def get(port: int, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    return connection.getresponse()


if __name__ == "__main__":
    main()
