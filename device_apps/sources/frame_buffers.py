"""Arrays for captured frames that are used again, so that no frame allocates (and clears) megabytes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FrameBuffers"]

# Frames that are shown, encoded or waiting at a time; further ones are not kept. Of 3840×2160 three.
_MAX_BUFFERS, _MAX_BYTES = 8, 80_000_000


def _references(arrays: Sequence[npt.NDArray[Any]]) -> list[int]:
    return [sys.getrefcount(array) for array in arrays]


# What an array counts that is only in such a list: it depends on the version of Python.
_UNUSED = _references([np.empty(0)])[0]


class FrameBuffers:
    """Arrays that a reader fills in turn. One is free when nothing refers to it or to a view of it any more."""

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[np.uint8]] = []

    def free(self) -> npt.NDArray[np.uint8] | None:
        """Return an array that is not in use, or None."""
        for index, references in enumerate(_references(self._arrays)):
            if references <= _UNUSED:
                return self._arrays[index]
        return None

    def keep(self, array: npt.NDArray[np.uint8]) -> None:
        """Use ``array`` again when it is free; arrays of another shape are forgotten."""
        if any(array is kept for kept in self._arrays):
            return
        if self._arrays and self._arrays[0].shape != array.shape:
            self._arrays.clear()
        if len(self._arrays) < _MAX_BUFFERS and (len(self._arrays) + 1) * array.nbytes <= _MAX_BYTES:
            self._arrays.append(array)
