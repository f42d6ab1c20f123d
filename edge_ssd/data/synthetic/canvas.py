"""What drawing needs: fractal noise, colors, and mixing them. Pictures are float32 [height, width, 3] RGB in 0–1."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray

__all__ = ["blend", "coordinates", "noise", "random_color", "random_color_between", "rgb", "smooth_step", "to_bytes"]

_Range = tuple[float, float]


def noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: float,
    octaves: int = 4,
    stretch: float = 1.0,
    gain: float = 0.5,
) -> FloatArray:
    """Fractal value noise, float32 [height, width], scaled to exactly 0–1.

    Args:
        rng: decides the values.
        height, width: in pixels.
        cell: pixels between the values of the coarsest octave; each further one halves it.
        octaves: how many are summed.
        stretch: above 1 draws the noise out sideways, below 1 upwards.
        gain: an octave's amplitude relative to the one before.
    """
    from PIL import Image

    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        across, down = width / (step * max(stretch, 1.0)), height * min(stretch, 1.0) / step
        grid = rng.random((math.ceil(down) + 2, math.ceil(across) + 2), dtype=np.float32)
        # A random corner, so that the lattice does not sit at the same place in every picture.
        left, top = rng.random(2)
        layer = Image.fromarray(grid).resize(
            (width, height), Image.Resampling.BICUBIC, box=(left, top, left + across, top + down)
        )
        total += gain**octave * np.asarray(layer, np.float32)
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def rgb(color: npt.ArrayLike) -> FloatArray:
    """A color, or a picture of colors, as float32 [..., 3]."""
    return np.asarray(color, np.float32)


def random_color_between(rng: np.random.Generator, hue: _Range, saturation: _Range, value: _Range) -> FloatArray:
    """A color from ranges of hue in degrees, saturation and value in 0–1."""
    return rgb(colorsys.hsv_to_rgb((rng.uniform(*hue) % 360) / 360, rng.uniform(*saturation), rng.uniform(*value)))


def random_color(rng: np.random.Generator) -> FloatArray:
    """A color from almost the whole range."""
    return random_color_between(rng, (0, 360), (0.0, 0.95), (0.1, 1.0))


def blend(first: FloatArray, second: FloatArray, share: npt.NDArray[np.floating]) -> FloatArray:
    """``first`` where ``share`` [height, width] is 0, ``second`` where it is 1; each a picture or a color."""
    return np.asarray(first + (second - first) * share[..., None], np.float32)


def coordinates(height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Pixel centres: y as [height, 1] and x as [1, width], in 0–1."""
    ys = (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(height)
    xs = (np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5)) / np.float32(width)
    return ys, xs


def smooth_step(start: float, end: float, value: FloatArray) -> FloatArray:
    """0 before ``start``, 1 after ``end`` (which may be the smaller), smooth between."""
    x = np.clip((value - start) / (end - start), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def to_bytes(color: FloatArray) -> tuple[int, int, int]:
    """A color as Pillow takes it."""
    red, green, blue = (int(channel) for channel in np.rint(np.clip(color, 0, 1) * 255))
    return red, green, blue
