"""The loop does not grow: the soak of tests/benchmarks, for under a minute.

A minute cannot resolve a megabyte an hour. What it can: one Python object left behind each frame, since blocks are
counted exactly; a kilobyte of anything else each frame; threads and descriptors. The half-hour run is the benchmark's.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from conftest import REPOSITORY

SOAK = REPOSITORY / "tests" / "benchmarks" / "soak.py"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from Linux's /proc")


def soak(*options: str) -> dict[str, float]:
    command = [sys.executable, str(SOAK), "--json", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=200, cwd=REPOSITORY)
    return json.loads(done.stdout)


def test_nothing_grows() -> None:
    found = soak("--seconds", "45", "--warm-up", "20")
    assert found["frames"] > 50
    assert found["blocks_per_frame"] < 0.2
    assert found["mb_grown"] < 2.0
    assert found["threads_last"] == found["threads_first"]
    assert found["descriptors_last"] == found["descriptors_first"]


def test_one_object_left_behind_each_frame_would_be_noticed() -> None:
    assert soak("--seconds", "12", "--warm-up", "6", "--leak")["blocks_per_frame"] > 0.8
