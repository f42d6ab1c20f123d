"""Motion gate: tells frames of a still scene, whose detections are those of the frame before.

An image is divided into blocks of about a twentieth of its longer side, each as a mean of up to 8 x 8 samples of the
green channel. A scene is still while no block differs from the last frame in which was detected by more than noise
does. Light and exposure multiply all pixels, also after gamma correction: the median ratio of the blocks is taken out
first. The noise of the camera is measured: it is the median of the differences that remain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import box_iou

if TYPE_CHECKING:
    from device_apps.sources.frames import Frame, Image
    from edge_ssd.runtime.detections import Detections
    from edge_ssd.runtime.tiles import Tiles

__all__ = ["BlockMeans", "MotionGate"]

_BLOCKS = 20  # Along the longer side: networks find objects from about this size on.
_SAMPLES = 8  # In a block, along each side.
_MIN_CHANGE, _MAX_CHANGE = 2.0, 10.0  # Gray levels of a block; below is compression, above is always motion.
_MAX_LIGHT = 0.1  # Change of all pixels: more may change what is found.
_CHANGE_PER_NOISE = 8.0  # A normal distribution exceeds so many times its median absolute value once in 15 million.
_NOISE_GROWTH = 1.1  # At most, from one frame to the next: a moving camera is not noise at once.
_FIRST_NOISE = 0.1  # Gray levels.
_SAME_IOU = 0.8  # Of one box in two frames of a still scene.
_SETTLING_S = 0.5


class BlockMeans:
    """Sums of the samples of each block of an image, in arrays that are used again.

    Args:
        size: (height, width) of the images in pixels.
        blocks: along their longer side, about.

    Attributes:
        samples: number of samples of a block.
        sums: of the last image, float32 [rows * columns].
    """

    def __init__(self, size: tuple[int, int], blocks: int) -> None:
        step = math.ceil(max(size) / (blocks * _SAMPLES))
        numbers = [max(1, side // step) for side in size]
        samples = min(_SAMPLES, max(1, round(max(numbers) / blocks)))
        self._down, self._along = (_divisor(number, samples) for number in numbers)
        self.samples = self._down * self._along
        rows, columns = numbers[0] // self._down, numbers[1] // self._along
        height, width = rows * self._down, columns * self._along
        self._slices = _centered(size[0], height, step), _centered(size[1], width, step)
        self._green = np.empty((height, width), np.uint8)
        self._bands = np.empty((rows, width), np.int16)
        self.sums = np.empty(rows * columns, np.float32)

    def read(self, pixels: Image) -> None:
        """Compute :attr:`sums` of an image, uint8 [height, width, 3]."""
        np.copyto(self._green, pixels[(*self._slices, 1)])
        rows, width = self._bands.shape
        np.add.reduce(self._green.reshape(rows, self._down, width), axis=1, dtype=np.int16, out=self._bands)
        np.add.reduce(self._bands.reshape(-1, self._along), axis=1, dtype=np.float32, out=self.sums)


def _divisor(number: int, samples: int) -> int:
    """Return about ``samples``, so that groups of so many leave out the fewest of ``number``."""
    if number < samples:
        return number
    near = sorted(range(max(1, samples - 2), min(number, samples + 2) + 1), key=lambda size: abs(size - samples))
    return min(near, key=lambda size: number % size)


def _centered(side: int, number: int, step: int) -> slice:
    """Return ``number`` samples that are ``step`` apart, centered in ``side`` pixels."""
    first = (side - (number - 1) * step) // 2
    return slice(first, first + (number - 1) * step + 1, step)


class MotionGate:
    """Gate that is asked before each frame whether to detect in it.

    It asks for a detection where the scene changed, ``max_interval`` seconds after the last one, for frames of another
    size, and for half a second after a change of the scene or of the detections: what appears or vanishes is looked at
    until it is certain. So it needs no tracker.

    Args:
        max_interval: seconds, in the time of the stream.
        tiles: of the detector: its objects are smaller.
    """

    def __init__(self, max_interval: float = 1.0, tiles: Tiles | None = None) -> None:
        self._max_interval = max_interval
        self._tiles = tiles
        self._shapes: tuple[tuple[int, ...], tuple[int, int]] | None = None
        self._now = self._detected_at = self._changed_at = 0.0
        self._noise = _FIRST_NOISE
        self._detections: Detections | None = None

    def repeated(self, frame: Frame) -> Detections | None:
        """Return the detections of the last frame if the scene is still; None: detect, and call :meth:`update`."""
        pixels, now = frame.pixels, frame.stream_time
        shapes = pixels.shape, frame.size
        if self._detections is None or self._shapes != shapes or now < self._now:
            self._start(shapes)
            self._means.read(pixels)
            self._now = self._changed_at = now
            return None
        self._now = now
        self._means.read(pixels)
        if self._is_moving():
            self._changed_at = now
        due = now - self._detected_at >= self._max_interval
        settling = now - self._changed_at < _SETTLING_S
        return None if due or settling else self._detections

    def update(self, detections: Detections) -> None:
        """Take the detections of the frame that :meth:`repeated` was asked about."""
        np.copyto(self._reference, self._means.sums)
        if self._detections is None or not _agree(self._detections, detections):
            self._changed_at = self._now
        self._detected_at = self._now
        self._detections = detections

    def check_labels(self, labels: Sequence[str]) -> None:
        """Accept every model."""

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Ask for a detection in the next frame."""
        self._detections = None

    def _start(self, shapes: tuple[tuple[int, ...], tuple[int, int]]) -> None:
        self._shapes = shapes
        height, width = shapes[0][:2]
        blocks = _BLOCKS
        if self._tiles is not None:
            tile = self._tiles.divide((height, width))[0]
            blocks = round(_BLOCKS * max(width / (tile.right - tile.left), height / (tile.bottom - tile.top)))
        self._means = BlockMeans((height, width), blocks)
        self._reference = np.zeros_like(self._means.sums)
        self._change = np.zeros_like(self._means.sums)
        self._sorted = np.zeros_like(self._means.sums)
        self._detections = None

    def _is_moving(self) -> bool:
        """Return whether a block changed since the last detection by more than noise."""
        change, level = self._change, self._means.samples
        np.add(self._reference, 1, out=change)  # The ratio of black blocks is 1.
        np.add(self._means.sums, 1, out=self._sorted)
        np.divide(self._sorted, change, out=change)
        light = _median(change, self._sorted)
        np.multiply(self._reference, light, out=change)
        np.subtract(change, self._means.sums, out=change)
        np.abs(change, out=change)
        noise = _median(change, self._sorted) / level
        self._noise = min(noise, self._noise * _NOISE_GROWTH + 0.01)
        limit = min(max(_MIN_CHANGE, _CHANGE_PER_NOISE * self._noise), _MAX_CHANGE)
        return abs(light - 1) > _MAX_LIGHT or float(change.max()) > limit * level


def _median(values: npt.NDArray[np.float32], scratch: npt.NDArray[np.float32]) -> float:
    np.copyto(scratch, values)
    middle = len(scratch) // 2
    scratch.partition(middle)
    return float(scratch[middle])


def _agree(one: Detections, other: Detections) -> bool:
    """Return whether two frames have the same objects at the same places."""
    if len(one) != len(other):
        return False
    if not len(one):
        return True
    same = (box_iou(one.xyxy, other.xyxy) >= _SAME_IOU) & (one.class_id[:, None] == other.class_id)
    return bool(same.any(axis=0).all() and same.any(axis=1).all())
