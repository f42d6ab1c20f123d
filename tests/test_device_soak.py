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
    """Counted in frames, so that a busy machine takes longer and sees the same."""
    command = [sys.executable, str(SOAK), "--json", "--warm-up", "0", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=280, cwd=REPOSITORY)
    return json.loads(done.stdout)


def test_nothing_grows() -> None:
    found = soak("--frames", "2000", "--warm-up-frames", "1000")
    assert found["frames"] > 500
    assert found["blocks_per_frame"] < 0.4
    assert found["mb_grown"] < 2.0
    assert found["threads_last"] == found["threads_first"]
    assert found["descriptors_last"] == found["descriptors_first"]
