"""Arrays that a thread uses again for each frame, so that no frame allocates large ones."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Workspace"]


class Workspace(threading.local):
    """Named arrays of a thread, kept until it ends. The array of a name is invalid after the next call for it."""

    def __init__(self) -> None:
        self._buffers: dict[str, npt.NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
        """Return a contiguous array of any content; a larger one than before is allocated."""
        kind = np.dtype(dtype)
        size = kind.itemsize
        for length in shape:
            size *= length
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer[:size].view(kind).reshape(shape)
