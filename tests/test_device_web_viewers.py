"""Twenty viewers, five of them at 1 kB/s, in another process: a short run of benchmarks/viewers.py."""

from __future__ import annotations

import runpy
import time
from typing import Any

import pytest
from clocks import wait_until
from conftest import REPOSITORY
from web_camera import Camera, LoopedFrames, clip_frames
from web_client import request


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "tests" / "benchmarks" / "viewers.py"))


def test_viewers_do_not_grow_memory_or_slow_the_loop(benchmark: dict[str, Any]) -> None:
    with Camera(source=LoopedFrames(clip_frames(), None)) as camera:

        def frames() -> int:
            return camera.stats.snapshot().frames

        wait_until(lambda: frames() > 20)
        with benchmark["Viewers"](camera.port):
            pass  # Loads everything that is loaded only once.
        wait_until(lambda: request(camera.port, "/api/stats").json["viewers"] == 0)
        before = benchmark["memory_mb"]()
        with benchmark["Viewers"](camera.port) as viewers:
            assert request(camera.port, "/api/stats").json["viewers"] == benchmark["VIEWERS"]
            start, at = time.monotonic(), frames()
            wait_until(lambda: frames() > at + 100 and time.monotonic() > start + 2)
            assert request(camera.port, "/api/stats").json["viewers"] == benchmark["VIEWERS"], (
                "slow viewers stay connected"
            )
            assert benchmark["memory_mb"]() - before < benchmark["GROWTH_TARGET_MB"]
        assert viewers.frames >= 5, "fast viewers get many frames"
        wait_until(lambda: request(camera.port, "/api/stats").json["viewers"] == 0)
