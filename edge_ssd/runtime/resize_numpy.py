"""The method "halve-bilinear" with NumPy; see :mod:`edge_ssd.runtime.resize_plan`.

Pixels are kept in four bytes, the last unused: NumPy gathers items of four bytes several times faster than of three.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.runtime.resize_plan import ImageArray, plan_for, taps
from edge_ssd.runtime.workspace import Workspace

__all__ = ["numpy_resize"]

# "first", "second" and "third" hold several arrays in turn: each is used up when the next one takes its place.
_workspace = Workspace()
_BAND_BYTES = 2**20  # of intermediate sums, so that they stay in the processor's cache


def numpy_resize(image: ImageArray, size: tuple[int, int], out: ImageArray | None = None) -> ImageArray:
    """Resize uint8 [H, W, 3] to ``size`` (height, width); into ``out``, contiguous, if it is given.

    Raises ImageError or SettingError for any other image, size or ``out``.
    """
    steps, size = plan_for(image, size, out)
    result: ImageArray = np.empty((*size, 3), np.uint8) if out is None else out
    pixels = steps.crop(image)
    for number, (rows, columns) in enumerate(steps.halvings):
        pixels = _halve(pixels, rows, columns, f"halved {number % 2}")
    height, width, channels = pixels.shape
    if (height, width) != size:
        if channels == 3:
            pixels = _copy_channels(pixels, _workspace.array("halved 0", (height, width, 4)))
        pixels = _interpolate(pixels, size)
    return _copy_channels(pixels, result)


def _copy_channels(pixels: ImageArray, to: ImageArray) -> ImageArray:
    """Copy channel by channel, since NumPy is slow in loops over three channels."""
    for channel in range(3):
        to[..., channel] = pixels[..., channel]
    return to


def _halve(pixels: ImageArray, rows: int, columns: int, name: str) -> ImageArray:
    """Return the means of ``rows`` × ``columns`` pixels of [H, W, 3 or 4] as [H / rows, W / columns, 4]."""
    height, width, channels = pixels.shape[0] // rows, pixels.shape[1] // columns, pixels.shape[2]
    result: ImageArray = _workspace.array(name, (height, width, 4))
    band = max(1, _BAND_BYTES // (2 * channels * pixels.shape[1]))
    for start in range(0, height, band):
        part = pixels[rows * start : rows * (start + band)]
        length = len(part) // rows
        totals = _workspace.array("first", (length, part.shape[1], channels), np.uint16)
        if rows == 2:
            np.add(part[0::2], part[1::2], out=totals, dtype=np.uint16)
        else:
            np.copyto(totals, part)
        sums = _add_columns(totals, columns)
        sums += rows * columns // 2
        sums >>= (rows * columns) // 2
        np.copyto(result[start : start + band], sums, casting="unsafe")
    return result


def _add_columns(totals: npt.NDArray[np.uint16], columns: int) -> npt.NDArray[np.uint16]:
    """Return the sums of ``columns`` neighbors of uint16 [H, W, 3 or 4] as [H, W / columns, 4]."""
    height, width, channels = totals.shape
    if columns == 1 and channels == 4:
        return totals
    sums = _workspace.array("second", (height, width // columns, 4), np.uint16)
    if channels == 4:  # four channels at once, since no sum needs more than 16 bits
        wide = totals.view(np.uint64)
        np.add(wide[:, 0::2], wide[:, 1::2], out=sums.view(np.uint64))
        return sums
    for channel in range(3):
        if columns == 2:
            np.add(totals[:, 0::2, channel], totals[:, 1::2, channel], out=sums[..., channel])
        else:
            sums[..., channel] = totals[..., channel]
    return sums


def _interpolate(pixels: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Interpolate pixels [H, W, 4] to [height, width, 4].

    The sums are integers below 2²⁴, which float32 holds exactly, also in units of 1/65536.
    """
    (source_height, source_width), (height, width) = pixels.shape[:2], size
    left, right, left_weight, right_weight = _column_taps(source_width, width)
    top, bottom, top_weight, bottom_weight, parts = _row_taps(source_height, height, width)
    gathered = _workspace.array("third", (source_height, width), np.uint32)
    channels = gathered.view(np.uint8)
    whole = pixels.view(np.uint32)[..., 0]
    rows = _workspace.array("second", channels.shape, np.uint16)
    product = _workspace.array("first", channels.shape, np.uint16)
    np.multiply(whole.take(left, axis=1, out=gathered, mode="clip").view(np.uint8), left_weight, out=rows)
    np.multiply(whole.take(right, axis=1, out=gathered, mode="clip").view(np.uint8), right_weight, out=product)
    rows += product
    rows += 128  # becomes the half that rounds
    values = _workspace.array("first", (source_height * parts, 4 * width // parts), np.float32)
    np.copyto(values.reshape(rows.shape), rows)
    result = _workspace.array("second", (height * parts, values.shape[1]), np.float32)
    other = _workspace.array("third", result.shape, np.float32)
    values.take(top, axis=0, out=result, mode="clip")
    values.take(bottom, axis=0, out=other, mode="clip")
    result *= top_weight
    other *= bottom_weight
    result += other
    image: ImageArray = _workspace.array("first", (height, width, 4))
    np.copyto(image.reshape(result.shape), result, casting="unsafe")  # rounds down
    return image


@functools.lru_cache(maxsize=16)
def _column_taps(source: int, target: int) -> tuple[Any, Any, Any, Any]:
    """Return the two columns of each pixel, and their weights for each of its four channels in units of 1/256."""
    first, second, weight = taps(source, target)
    weight = np.repeat(weight, 4)
    return first, second, 256 - weight, weight


@functools.lru_cache(maxsize=16)
def _row_taps(source: int, target: int, width: int) -> tuple[Any, Any, Any, Any, int]:
    """Return the two rows of each row and their weights, of rows that are cut into the same number of parts.

    Parts, because copies of more than two kilobytes are slow on some processors: ``memcpy`` changes its method.
    """
    parts = next(parts for parts in (16, 8, 4) if 4 * width % parts == 0)
    first, second, weight = taps(source, target)
    # Divided by float32: an int gives float64 in NumPy 1.
    second_weight = np.repeat(weight, parts)[:, None].astype(np.float32) / np.float32(65536)
    first_index, second_index = ((rows[:, None] * parts + np.arange(parts)).reshape(-1) for rows in (first, second))
    return first_index, second_index, np.float32(1 / 256) - second_weight, second_weight, parts
