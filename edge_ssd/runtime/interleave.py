"""Interleaved measurement of several cases on a machine with other load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["call_interleaved"]

Case = TypeVar("Case")
Sample = TypeVar("Sample")


def call_interleaved(
    measure: Callable[[Case], Sample],
    cases: Sequence[Case],
    repeats: int,
    *,
    block_size: int = 1,
    discard: int = 0,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> list[list[Sample]]:
    """Call ``measure`` on each case ``repeats`` times in alternating blocks, so that drift affects all cases equally.

    Args:
        block_size: number of consecutive measurements of a case.
        discard: extra measurements at the start of each block, ignored, since the case before has filled the caches.
        progress: called with (finished rounds, all rounds); a round is one block of each case.

    Returns:
        For each case its ``repeats`` samples, in the order of time.
    """
    samples: list[list[Sample]] = [[] for _ in cases]
    rounds = -(-repeats // block_size)
    for number in range(rounds):
        progress(number, rounds)
        for case, values in zip(cases, samples, strict=True):
            for _ in range(discard):
                measure(case)
            values += [measure(case) for _ in range(min(block_size, repeats - number * block_size))]
    progress(rounds, rounds)
    return samples
