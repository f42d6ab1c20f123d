"""What the programs that damage files have in common."""

from __future__ import annotations

import os
import resource

import numpy as np

__all__ = ["INTERESTING", "damaged_copy", "fuzz_rounds", "fuzz_seed", "peak_megabytes"]

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def fuzz_seed() -> int:
    """Return the seed of tests that damage files; ``tests/fuzz.py`` gives others."""
    return int(os.environ.get("FUZZ_SEED", "0"))


def fuzz_rounds(quick: int) -> int:
    """Return the number of files to damage: ``quick``, or many more for ``tests/fuzz.py``."""
    return int(os.environ.get("FUZZ_ROUNDS", quick))


def damaged_copy(random: np.random.Generator, data: bytes, low: int = 0, high: int | None = None) -> bytes:
    """Return ``data`` with one to four bytes between ``low`` and ``high`` changed, and cut in one of six cases."""
    changed = bytearray(data)
    for place in random.integers(low, high or len(changed), random.integers(1, 5)):
        changed[place] = random.choice([*INTERESTING, random.integers(0, 256)])
    return bytes(changed[: random.integers(0, len(changed))] if random.integers(0, 6) == 0 else changed)


def peak_megabytes() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
