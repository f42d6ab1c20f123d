"""Conversion of the YUV420 images of cameras to RGB, with Pillow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["yuv420_to_rgb"]


def yuv420_to_rgb(planes: npt.NDArray[np.uint8], size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the RGB image, uint8 [height, width, 3], of the planes Y, U and V in JPEG's color space (full range).

    Args:
        planes: uint8 [1.5 * height, stride]: the rows of Y, then two rows of U, later of V, in each row.
        size: (width, height), both even.
    """
    from PIL import Image

    width, height = size
    stride = planes.shape[1]
    chroma = planes[height : height * 3 // 2].reshape(2, height // 2, stride // 2)[..., : width // 2]
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = planes[:height, :width]
    image.reshape(height // 2, 2, width // 2, 2, 3)[..., 1:] = np.moveaxis(chroma, 0, -1)[:, None, :, None]
    return np.asarray(Image.frombuffer("YCbCr", (width, height), image, "raw", "YCbCr", 0, 1).convert("RGB"))
