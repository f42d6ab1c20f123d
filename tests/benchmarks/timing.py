"""Timing two or more things fairly on a machine that also does something else."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median

__all__ = ["interleaved"]


def interleaved(
    things: Mapping[str, Callable[[], object]],
    rounds: int,
    seconds: float = 20.0,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, float]:
    """Median microseconds of each, called in turn, once a round, after some rounds that do not count.

    At most about ``seconds`` in all, but no fewer than five rounds. ``clock`` is by default the processor's time in
    this thread, which other programs hardly disturb; what works in several threads needs ``time.perf_counter``.
    """
    taken: dict[str, list[float]] = {name: [] for name in things}
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        for i in range(-max(2, rounds // 20), rounds):
            if i >= 5 and time.perf_counter() > end:
                break
            for name, thing in things.items():
                start = clock()
                thing()
                if i >= 0:
                    taken[name].append(clock() - start)
                else:
                    taken[name].clear()
    finally:
        gc.enable()
    return {name: 1e6 * median(times) for name, times in taken.items()}
