"""Conversion of Pillow images of every mode to RGB, with values of more than 8 bits scaled to 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import ImageError
from edge_ssd.runtime.image_file import exif_orientation, rotate_upright
from edge_ssd.runtime.pixel_limit import check_pixels

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["to_rgb"]

# Bits that cameras and tools put into files of 16 and 32 bits, without using the others.
_FEWER_BITS = (8, 10, 12)
_MAX_16_BIT = 65535
_STRIP_PIXELS = 2**22  # that are converted at once


def to_rgb(image: PILImage) -> tuple[npt.NDArray[np.uint8], str]:
    """Return a Pillow image as it is seen, uint8 RGB [H, W, 3], and what its values of more than 8 bits were taken for.

    The EXIF orientation is applied, transparency becomes white. The text, such as "12-bit values in 16 or 32 bits", is
    empty for images of 8 bits and for those that use 16 bits. Raises ImageError for values without a known range.
    """
    if getattr(image, "fp", None) is not None:  # a file that is not decoded yet
        check_pixels(image.size)
    image.load()  # before the EXIF orientation, which may follow the pixels
    image = rotate_upright(image, exif_orientation(image))
    if 0 in image.size:
        raise ImageError(f"an image must not be empty, got {image.width}x{image.height}")
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image), ""
    if image.mode.startswith("I") or image.mode == "F":  # Pillow's own conversion clips instead of scaling
        grey, scaling = _scale_to_bytes(np.asarray(image))
        return np.repeat(grey[..., None], 3, axis=2), scaling
    if image.mode == "La":  # Pillow converts La to LA only
        image = image.convert("LA")
    width, height = image.size
    rows = max(_STRIP_PIXELS // width, 1)
    if rows >= height:
        return _eight_bits_to_rgb(image), ""
    # In strips: the conversions of a whole image would take 20 bytes a pixel.
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = _eight_bits_to_rgb(strip)
    return pixels, ""


def _eight_bits_to_rgb(image: PILImage) -> npt.NDArray[np.uint8]:
    """Return an image with 8 bits a value as uint8 RGB [H, W, 3], on white."""
    from PIL import Image

    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def _scale_to_bytes(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], str]:
    """Scale grey values to 0–255 by the number of bits that their maximum needs; see :func:`to_rgb`."""
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        whole = bool(np.isfinite(low) and np.isfinite(high) and (values == np.rint(values)).all())
        if not (low >= 0 and (high <= 255 or (whole and high <= _MAX_16_BIT))):
            raise ImageError(
                f"floating-point values from {low:g} to {high:g} have no standard range; convert it to 8 bits first"
            )
        if high <= 1:
            return np.rint(values * 255).astype(np.uint8), "floating-point values from 0 to 1" if high > 0 else ""
        if high <= 255:
            return np.rint(values).astype(np.uint8), "floating-point values from 0 to 255"
    bits = next((bits for bits in _FEWER_BITS if high < 2**bits), 16)
    limit = 2**bits - 1
    pixels = np.empty(values.shape, np.uint8)
    rows = max(_STRIP_PIXELS // 4 // max(values.shape[-1], 1), 1)
    for top in range(0, len(values), rows):
        clipped = values[top : top + rows].astype(np.int64).clip(0, limit)
        pixels[top : top + rows] = clipped // 257 if bits == 16 else (clipped * 255 + limit // 2) // limit
    if bits == 16:
        scaling = f"values outside 0 to {_MAX_16_BIT}, which are clipped" if low < 0 or high > _MAX_16_BIT else ""
        return pixels, scaling
    scaling = f"{bits}-bit values in 16 or 32 bits" if low >= 0 else "negative values, which are clipped"
    return pixels, scaling if high > 0 or low < 0 else ""
