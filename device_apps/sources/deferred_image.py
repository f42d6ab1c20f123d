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

    def __init__(
        self,
        pixels: Image,
        size: tuple[int, int],
        load: Callable[[], Image],
        reduce: Callable[[int], Image] | None = None,
    ) -> None:
        """Defer ``load`` and ``reduce``, which any thread may call.

        Args:
            load: returns the image, uint8 [height, width, 3], contiguous.
            reduce: returns the image halved as often as its longer side stays at least so many pixels, at less cost.
        """
        self.pixels = pixels
        self.size = size
        self._load = load
        self._reduce = reduce
        self._lock = threading.Lock()
        self._image: Image | None = None

    @property
    def image(self) -> Image:
        """The image, computed at the first access. Shared by all callers: do not modify it."""
        with self._lock:
            if self._image is None:
                self._image = self._load()
            return self._image

    def at_least(self, max_side: int | None) -> Image:
        """Return the image, or a reduced one whose longer side is at least ``max_side`` pixels, without keeping it.

        For a single use: several of the largest frames at once would fill the memory of a small board.
        """
        with self._lock:
            if self._image is not None:
                return self._image
        if max_side is None or self._reduce is None:
            return self._load()
        if self.pixels.shape[:2] != self.size and max(self.pixels.shape[:2]) >= max_side:
            return self.pixels
        return self._reduce(max_side)
