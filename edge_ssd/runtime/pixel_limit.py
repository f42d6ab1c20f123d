"""Limit of the pixels of an image that is decoded: a small file may state any size, and take all memory."""

from __future__ import annotations

import os

from edge_ssd.errors import ImageError

__all__ = ["MAX_MEGAPIXELS_VARIABLE", "check_pixels", "max_pixels", "too_many_pixels"]

MAX_MEGAPIXELS_VARIABLE = "EDGE_SSD_MAX_MEGAPIXELS"
"""Environment variable: the most megapixels of an image that is decoded."""

_DEFAULT_MEGAPIXELS = 50


def check_pixels(size: tuple[int, int]) -> None:
    """Raise ImageError if an image of ``size`` (width, height) has more pixels than :func:`max_pixels`."""
    width, height = size
    if width * height > max_pixels():
        raise too_many_pixels(f"{width}x{height} pixels, ", width * height)


def too_many_pixels(size: str, pixels: int) -> ImageError:
    """Return the error for an image that has more pixels than :func:`max_pixels`; ``size`` stands before them."""
    megapixels = pixels / 1e6
    return ImageError(
        f"has {size}{megapixels:.0f} megapixels and more than {max_pixels() / 1e6:g}; reduce it, or allow more with "
        f"the environment variable {MAX_MEGAPIXELS_VARIABLE}, such as {megapixels * 1.2:.0f}"
    )


def max_pixels() -> int:
    """Return the limit: 50 megapixels, or the value of the environment variable.

    Raises:
        ImageError: the value is not a positive number.
    """
    text = os.environ.get(MAX_MEGAPIXELS_VARIABLE) or str(_DEFAULT_MEGAPIXELS)
    try:
        megapixels = float(text)
    except ValueError:
        megapixels = 0.0
    if not 0 < megapixels < 1e6:
        raise ImageError(f"the environment variable {MAX_MEGAPIXELS_VARIABLE} must be a positive number, is {text!r}")
    return int(megapixels * 1e6)
