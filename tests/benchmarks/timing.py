"""Interleaved timing of functions on a machine with other load."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median

__all__ = ["time_interleaved"]


def time_interleaved(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    seconds: float = 20.0,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, float]:
    """Return the median time of each function in microseconds, called in alternation after some uncounted rounds.

    Args:
        functions: by name.
        rounds: number of calls of each.
        seconds: approximate limit on the total time, after at least five rounds.
        clock: by default the CPU time of this thread, which other load hardly affects; functions that use several
            threads need ``time.perf_counter``.
    """
    samples: dict[str, list[float]] = {name: [] for name in functions}
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        for i in range(-max(2, rounds // 20), rounds):
            if i >= 5 and time.perf_counter() > end:
                break
            for name, function in functions.items():
                start = clock()
                function()
                if i >= 0:
                    samples[name].append(clock() - start)
                else:
                    samples[name].clear()
    finally:
        gc.enable()
    return {name: 1e6 * median(times) for name, times in samples.items()}
