"""Cost of several cameras in one process: python tests/benchmarks/several_cameras.py [--cameras 4] [--still] [OPTION …]

The camera command with one thread for the network and with events, on MJPEG streams of the shipped clip (480×360, 15
frames a second) from this process: one camera, and several in one process, in turns, so that other load affects both
alike. Reported of each run, after the first seconds:

    fps        frames per second of a camera
    ms/frame   processor time of the process (user and system) for a frame
    memory     peak resident memory (VmHWM)

and the ratios: processor time of a frame with several cameras to one of a camera alone, which is that of N cameras to
N times one camera; memory of the process with several to that with one. Medians over the rounds, without runs that had
under nine tenths of the frames: on a machine that is too busy, frames are received and dropped. Linux only. OPTIONs are
those of the camera command; --still repeats one image, such as to measure --motion-gate.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from web_camera import ClipServer, clip_frames  # noqa: E402

FPS = 15.0
WARM_UP_S = 4.0
_TICKS = os.sysconf("SC_CLK_TCK")


class EncodedClipServer(ClipServer):
    """The clip, or its first image only, encoded once: this process must not compete for the processor."""

    still = False

    @cached_property
    def _jpegs(self) -> list[bytes]:
        encode = super().jpeg
        return [encode(number) for number in range(1 if self.still else len(clip_frames()))]

    def jpeg(self, number: int) -> bytes:
        return self._jpegs[number % len(self._jpegs)]


class Cost(NamedTuple):
    """Of a run: frames per second of a camera, milliseconds of processor time for a frame, and megabytes."""

    fps: float
    ms: float
    mb: float


def configuration(urls: Sequence[str], folder: Path) -> Path:
    """Write the options of one camera, or the tables of several; return the file."""
    shared = f'threads = 1\nheadless = true\nevents = "{folder}/events.jsonl"\nstats-every = 0.5\nstats-json = true\n'
    shared += "wait = true\n"  # This process may be slow to answer.
    if len(urls) == 1:
        text = f'{shared}source = "{urls[0]}"\n'
    else:
        tables = [f'[[cameras]]\nname = "camera {number}"\nsource = "{url}"\n' for number, url in enumerate(urls)]
        text = shared + "".join(tables)
    path = folder / f"{len(urls)}.toml"
    path.write_text(text)
    return path


def measure(config: Path, cameras: int, seconds: float, options: Sequence[str]) -> Cost:
    """Run the command and return its cost between two reports of all cameras."""
    command = [sys.executable, "-m", "edge_ssd", "camera", "--config", str(config), *options]
    process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    frames: dict[str, int] = {}
    first: tuple[float, float, int] | None = None
    try:
        for line in process.stderr:
            if not line.startswith("{"):
                if "error" in line:  # A warning is one of a busy machine.
                    sys.exit(line)
                continue
            report = json.loads(line)
            frames[report.get("camera", "")] = report["frames"]
            now = (time.monotonic(), processor_seconds(process.pid), sum(frames.values()))
            if first is None and len(frames) == cameras and min(frames.values()) > FPS * WARM_UP_S / 2:
                first = now
            if first is not None and now[0] - first[0] >= seconds:
                break
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert first is not None
    taken, used, number = (late - early for late, early in zip(now, first, strict=True))
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return Cost(number / taken / cameras, 1e3 * used / number, int(match[1]) / 1e3)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--still", action="store_true", help="streams that repeat one image")
    args, options = parser.parse_known_args()
    EncodedClipServer.still = args.still
    costs: dict[int, list[Cost]] = {1: [], args.cameras: []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = [stack.enter_context(EncodedClipServer(FPS)).url for _ in range(args.cameras)]
        print("| cameras | fps | ms/frame | memory |\n|---:|---:|---:|---:|")
        for number in range(args.rounds):
            for cameras in sorted(costs, reverse=number % 2 == 1):
                cost = measure(configuration(urls[:cameras], folder), cameras, args.seconds, options)
                if cost.fps >= 0.9 * FPS:
                    costs[cameras].append(cost)
                print(f"| {cameras} | {cost.fps:.1f} | {cost.ms:.2f} | {cost.mb:.0f} MB |", flush=True)
    if not all(costs.values()):
        sys.exit("the machine is too busy: no run had nine tenths of the frames")
    one, several = (Cost(*map(median, zip(*costs[cameras], strict=True))) for cameras in sorted(costs))
    print(f"medians: one {one.ms:.2f} ms/frame, {one.mb:.0f} MB; {args.cameras} {several.ms:.2f}, {several.mb:.0f} MB")
    print(f"processor time {several.ms / one.ms:.2f}, memory {several.mb / one.mb:.2f}")


if __name__ == "__main__":
    main()
