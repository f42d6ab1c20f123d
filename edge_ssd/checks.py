"""Checks of the arguments of public functions: each at the door, once, with an error that quotes the value.

They cost little: a few attribute comparisons, and one dot product of each array with itself, which is finite if all of
its numbers are. Only if it is not are the numbers examined one by one.
"""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import SettingError

__all__ = [
    "MAX_NUMBER",
    "as_flag",
    "as_fraction",
    "as_integer",
    "as_size",
    "box_array",
    "box_rows",
    "float_array",
    "is_finite",
    "positive_numbers",
    "require_finite",
    "require_type",
    "shortened",
]

_FLOAT32 = np.dtype(np.float32)
_MAX_TEXT = 80
_MAX_SIDE = 2**31 - 1
_BLOCK = 8192  # numbers; OpenBLAS starts threads for a dot product of more than 10 000

MAX_NUMBER = 2.0**62
"""The largest number of an array: areas of such boxes, and sums of two, do not overflow as float32."""
_MAX_SQUARES = MAX_NUMBER**2

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _MAX_TEXT


def shortened(value: object) -> str:
    """Return the representation of a value, of any type and size, as one line of at most 80 characters."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        start = bytes(value[:12]) if not isinstance(value, memoryview) else b""
        return f"{type(value).__name__} of length {len(value)}" + (f", {start!r}..." if start else "")
    try:
        text = " ".join(_REPR.repr(value).split())
    except Exception:  # of the value's own __repr__, or an integer with thousands of digits
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."


def float_array(name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = _FLOAT32) -> npt.NDArray[Any]:
    """Return numbers as an array of floating-point ``dtype``; raise SettingError if they are not numbers.

    An array of that type is returned itself. The numbers may be infinite or NaN, see :func:`require_finite`.
    """
    if type(value) is np.ndarray and value.dtype is dtype:
        return value
    try:
        array = np.asarray(value)
        if value is None:
            raise TypeError("not NaN, as NumPy reads it")
        numeric = array.dtype.kind in "buif"
        if not array.size or array.dtype == dtype or (numeric and is_finite(array)):
            return np.asarray(array, dtype)
        if numeric or array.dtype.kind == "O":
            with np.errstate(over="raise"):  # slow, so only where the above cannot exclude it
                return np.asarray(array, dtype)
    except FloatingPointError:
        largest = float(np.nanmax(np.abs(array)))
        raise SettingError(f"{name} must be numbers of at most {MAX_NUMBER:.2g}, got up to {largest:g}") from None
    except (TypeError, ValueError, OverflowError):
        pass
    raise SettingError(f"{name} must be an array of numbers, got {shortened(value)}")


def box_array(name: str, value: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return boxes of any shape [..., 4] as float32; ``[]`` is [0, 4]. Raise SettingError for another shape."""
    boxes = float_array(name, value)
    if boxes.ndim and boxes.shape[-1] == 4:
        return boxes
    if not boxes.size and boxes.ndim == 1:
        return boxes.reshape(0, 4)
    raise _shape_error(name, "[..., 4]", boxes)


def box_rows(
    name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = _FLOAT32, *, single: bool = False
) -> npt.NDArray[Any]:
    """Return finite boxes [N, 4] as an array of ``dtype``; raise SettingError for anything else.

    ``[]`` is [0, 4] and, with ``single``, one box [4] is [1, 4].
    """
    boxes = float_array(name, value, dtype)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        if boxes.ndim != 1 or not (boxes.size == 0 or (single and boxes.size == 4)):
            raise _shape_error(name, "[N, 4]", boxes)
        boxes = boxes.reshape(-1, 4)
    require_finite(name, boxes)
    return boxes


def is_finite(array: npt.NDArray[Any]) -> bool:
    """Return whether all numbers are certainly finite and at most MAX_NUMBER; False also for some large ones."""
    row = array.ravel(order="K")  # a view, where the array has no gaps
    # Of the products, vdot() alone does not warn of an overflow. NaN is not at most anything.
    if row.size <= _BLOCK:
        return float(np.vdot(row, row)) <= _MAX_SQUARES
    return all(float(np.vdot(part, part)) <= _MAX_SQUARES for part in np.split(row, range(_BLOCK, row.size, _BLOCK)))


def require_finite(name: str, array: npt.NDArray[Any]) -> None:
    """Raise SettingError, which names the first number that is NaN or above MAX_NUMBER, if there is one."""
    if is_finite(array):
        return
    invalid = np.argwhere(~(np.abs(array) <= np.float64(MAX_NUMBER)))
    if len(invalid):
        index = invalid[0].tolist()
        where = f" at index {index}" if index else ""
        number = float(array[tuple(index)])
        limit = f" of at most {MAX_NUMBER:.2g}" if math.isfinite(number) else ""
        raise SettingError(f"{name} must be finite numbers{limit}, got {number:g}{where}")


def as_fraction(name: str, value: Any) -> float:
    """Return a number from 0 to 1 as a float, also NumPy's; raise SettingError for anything else."""
    if type(value) is float and 0 <= value <= 1:
        return value
    number: Any = value[()] if isinstance(value, np.ndarray) else value  # the scalar of a 0-d array
    real = isinstance(number, numbers.Real) and not isinstance(number, bool)
    if not real or not 0 <= number <= 1:
        raise SettingError(f"{name} must be a number from 0 to 1, got {shortened(value)}")
    return float(number)


def as_integer(name: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Return a whole number in a range as an int, also NumPy's; raise SettingError for anything else."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or int(value) < minimum or (maximum is not None and int(value) > maximum):
        limits = f"from {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise SettingError(f"{name} must be a whole number {limits}, got {shortened(value)}")
    return int(value)


def as_size(name: str, value: Any, minimum: int = 1) -> tuple[int, int]:
    """Return (height, width) in whole pixels as ints; raise SettingError for anything else."""
    try:
        height, width = value
    except (TypeError, ValueError):
        raise SettingError(f"{name} must be (height, width), got {shortened(value)}") from None
    rows, columns = (as_integer(f"{side} of {name}", v, minimum) for side, v in (("height", height), ("width", width)))
    if max(rows, columns) > _MAX_SIDE:
        raise SettingError(f"{name} must be at most {_MAX_SIDE} pixels high and wide, got {shortened(value)}")
    return rows, columns


def as_flag(name: str, value: Any) -> bool:
    """Return True or False, also NumPy's; raise SettingError for anything else."""
    if not isinstance(value, (bool, np.bool_)):
        raise SettingError(f"{name} must be True or False, got {shortened(value)}")
    return bool(value)


def require_type(name: str, value: object, kind: type) -> None:
    """Raise SettingError if a value is not of type ``kind``."""
    if not isinstance(value, kind):
        raise SettingError(f"{name} must be of type {kind.__name__}, got {shortened(value)}")


def positive_numbers(name: str, values: Iterable[float]) -> list[float]:
    """Return at least one finite positive number as floats; raise SettingError for anything else."""
    row = float_array(name, list(values) if isinstance(values, Iterable) else values, np.float64)
    if row.ndim != 1 or not row.size or not row.min() >= 1e-9 or not row.max() <= 1e9:
        raise SettingError(f"{name} must be one or more positive numbers, got {shortened(values)}")
    return [float(value) for value in row]


def _shape_error(name: str, expected: str, boxes: npt.NDArray[Any]) -> SettingError:
    shape = list(boxes.shape)
    hint = ""
    if expected == "[N, 4]" and len(shape) == 3:
        hint = "; pass the boxes of one image at a time"
    elif len(shape) == 2 and shape[0] == 4:
        hint = "; transpose it: .T"
    elif len(shape) == 2 and shape[1] > 4:
        hint = "; select the columns of the boxes, such as [:, :4]"
    return SettingError(f"{name} must be boxes of shape {expected}, got {shape}: {shortened(boxes)}{hint}")
