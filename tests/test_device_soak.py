"""The loop leaks no memory: a short run of tests/benchmarks/soak.py.

It detects a leak of one Python object per frame, because allocated blocks are counted exactly, of a kilobyte of other
memory per frame, of threads and of descriptors. A leak of a megabyte per hour needs the half hour of the benchmark.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from conftest import REPOSITORY
from processes import run_python

# Appended, because some names are in both folders.
sys.path.append(str(REPOSITORY / "tests" / "benchmarks"))

from failure_soak import fit_growth

SOAK = REPOSITORY / "tests" / "benchmarks" / "soak.py"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from Linux's /proc")


def soak(*options: str) -> dict[str, float]:
    """Run the benchmark; limited by frames, so that the result does not depend on the speed of the machine."""
    done = run_python(SOAK, "--json", "--warm-up", "0", *options, stderr=None, check=True, timeout=280)
    return json.loads(done.stdout)


def test_loop_leaks_no_memory_threads_or_descriptors() -> None:
    # The smallest model, since nearly all of the time is the interpreter's.
    figures = soak("--frames", "3000", "--warm-up-frames", "1000", "--model", "banana-nano")
    assert figures["frames"] > 500
    assert figures["blocks_per_frame"] < 0.4
    assert figures["mb_grown"] < 2.0
    assert figures["threads_last"] == figures["threads_first"]
    assert figures["descriptors_last"] == figures["descriptors_first"]


@pytest.mark.parametrize(("leak", "step", "at"), [(0.0, 0.0, 0.5), (3.0, 0.0, 0.5), (0.0, 2.0, 0.5), (1.5, -2.0, 0.3)])
def test_growth_of_an_hour_is_told_from_a_step(leak: float, step: float, at: float) -> None:
    hours = np.arange(900, 3600, 2) / 3600
    noise = np.random.default_rng(0).normal(0, 0.1, len(hours))
    slope, found = fit_growth(hours, 60 + leak * hours + step * (hours >= at) + noise)
    assert (slope, found) == pytest.approx((leak, step), abs=0.1)


def test_growth_in_many_steps_is_growth() -> None:
    hours = np.arange(900, 3600, 2) / 3600
    assert fit_growth(hours, 60 + np.floor(hours * 12) / 4)[0] > 2.0
