"""Short decimal numbers that are read back as the same float32."""

from __future__ import annotations

import numpy as np

__all__ = ["difference", "plain_number"]


def plain_number(value: float | np.float32) -> int | float:
    """Return the shortest decimal number that rounds to the float32 ``value``: 0.1, not 0.10000000149011612."""
    return _whole(float(str(np.float32(value))))


def difference(high: float | np.float32, low: float | np.float32) -> int | float:
    """Return a short number that, added to ``plain_number(low)``, gives ``high`` in float32."""
    start = float(plain_number(low))
    width = round(float(plain_number(high)) - start, 9)
    if np.float32(start + width) != np.float32(high):
        width = float(high) - start
    return _whole(width)


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number
