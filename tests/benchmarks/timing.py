"""Interleaved timing of functions on a machine with other load."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from edge_ssd.runtime.interleave import call_interleaved

__all__ = ["time_interleaved"]


def time_interleaved(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.thread_time,
    statistic: Callable[[Sequence[float]], float] = median,
) -> dict[str, float]:
    """Return the time of each function in microseconds, called in alternation after some uncounted rounds.

    Args:
        functions: names and functions.
        rounds: number of counted calls of each.
        clock: by default the CPU time of this thread, which other load hardly affects; functions that use several
            threads need ``time.perf_counter``.
        statistic: of the times of a function; ``min`` compares calls of some microseconds, whose caches other load
            empties.
    """

    def measure(function: Callable[[], object]) -> float:
        start = clock()
        function()
        return clock() - start

    warm_up = max(2, rounds // 20)
    gc.collect()
    gc.disable()
    try:
        samples = call_interleaved(measure, list(functions.values()), warm_up + rounds)
    finally:
        gc.enable()
    return {name: 1e6 * statistic(values[warm_up:]) for name, values in zip(functions, samples, strict=True)}
