"""Fractal noise, colors and alpha blending. Images are float32 [height, width, 3] RGB in 0–1."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray

__all__ = ["blend", "coordinates", "noise", "random_color", "random_color_between", "rgb", "smooth_step", "to_bytes"]

Range = tuple[float, float]


def noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: float,
    octaves: int = 4,
    stretch: float = 1.0,
    gain: float = 0.5,
) -> FloatArray:
    """Return fractal value noise, float32 [height, width], scaled to exactly 0–1.

    Args:
        cell: pixels between the values of the coarsest octave; halved for each further octave.
        stretch: above 1 stretches the noise horizontally, below 1 vertically.
        gain: amplitude of an octave relative to the previous one.
    """
    from PIL import Image

    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        across, down = width / (step * max(stretch, 1.0)), height * min(stretch, 1.0) / step
        grid = rng.random((math.ceil(down) + 2, math.ceil(across) + 2), dtype=np.float32)
        # Random offset, so that the lattice differs between images.
        left, top = rng.random(2)
        layer = Image.fromarray(grid).resize(
            (width, height), Image.Resampling.BICUBIC, box=(left, top, left + across, top + down)
        )
        total += gain**octave * np.asarray(layer, np.float32)
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def rgb(color: npt.ArrayLike) -> FloatArray:
    """Return a color, or an image, as float32 [..., 3]."""
    return np.asarray(color, np.float32)


def random_color_between(rng: np.random.Generator, hue: Range, saturation: Range, value: Range) -> FloatArray:
    """Return a random color, RGB in 0–1, from ranges of hue in degrees, and of saturation and value in 0–1."""
    return rgb(colorsys.hsv_to_rgb((rng.uniform(*hue) % 360) / 360, rng.uniform(*saturation), rng.uniform(*value)))


def random_color(rng: np.random.Generator) -> FloatArray:
    """Return a random color, RGB in 0–1, of any hue, neither black nor fully saturated."""
    return random_color_between(rng, (0, 360), (0.0, 0.95), (0.1, 1.0))


def blend(background: FloatArray, foreground: FloatArray, alpha: npt.NDArray[np.floating]) -> FloatArray:
    """Blend two images or colors with ``alpha`` [height, width]: 0 gives the background, 1 the foreground."""
    return np.asarray(background + (foreground - background) * alpha[..., None], np.float32)


def coordinates(height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Return the centers of the pixels, y [height, 1] and x [1, width], in 0–1."""
    ys = (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(height)
    xs = (np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5)) / np.float32(width)
    return ys, xs


def smooth_step(start: float, end: float, value: FloatArray) -> FloatArray:
    """Return 0 before ``start``, 1 after ``end`` (which may be smaller than ``start``), and a cubic between them."""
    x = np.clip((value - start) / (end - start), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def to_bytes(color: FloatArray) -> tuple[int, int, int]:
    """Return a color, RGB in 0–1, as integers from 0 to 255."""
    red, green, blue = (int(channel) for channel in np.rint(np.clip(color, 0, 1) * 255))
    return red, green, blue
