"""Images that are decoded or converted in full only if something shows or saves them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["DeferredImage", "Image"]

Image = npt.NDArray[np.uint8]
"""uint8 [height, width, 3], RGB."""


class DeferredImage:
    """Image of which only the pixels for the detector exist yet.

    Attributes:
        pixels: uint8 [h, w, 3], RGB, for the detector: smaller than the image, or a view that is slow to draw in.
        size: (height, width) of the image.
    """

    def __init__(self, pixels: Image, size: tuple[int, int], load: Callable[[], Image]) -> None:
        """``load`` returns the image, uint8 [height, width, 3], contiguous; called at most once, in any thread."""
        self.pixels = pixels
        self.size = size
        self._load = load
        self._lock = threading.Lock()
        self._image: Image | None = None

    @property
    def image(self) -> Image:
        """The image, computed at the first access. Shared by all callers: do not modify it."""
        with self._lock:
            if self._image is None:
                self._image = self._load()
            return self._image
