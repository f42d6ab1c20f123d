"""Short decimal numbers that are read back as the same float32."""

from __future__ import annotations

import struct

__all__ = ["difference", "plain_number"]

_DIGITS = (6, 7, 8, 9)  # nine digits state every float32


def plain_number(value: float) -> int | float:
    """Return a short decimal number that rounds to the float32 ``value``: 0.1, not 0.10000000149011612."""
    number = short = _to_float32(value)
    if number.is_integer():
        return int(number)
    for digits in _DIGITS:
        short = float(f"{number:.{digits}g}")
        if _to_float32(short) == number:
            break
    return short


def difference(high: float, low: float) -> int | float:
    """Return a short number that, added to ``plain_number(low)``, gives ``high`` in float32."""
    start = plain_number(low)
    width = round(plain_number(high) - start, 9)
    if _to_float32(start + width) != _to_float32(high):
        width = _to_float32(high) - start
    return int(width) if float(width).is_integer() else width


def _to_float32(number: float) -> float:
    # NumPy's scalars take several times as long.
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded
