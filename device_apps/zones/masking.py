"""Masks: parts of every frame that are hidden before anything else uses it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.frames import Frame, Image, Source, SourceCounts, iterate
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.geometry import Point, edges_of
from device_apps.zones.shapes import Mask

__all__ = ["MASK_GREY", "MaskedSource", "hide", "mask_frame", "masked_rectangles"]

MASK_GREY = 114  # As around letterboxed images: near the mean of photographs, so that no strong edge is added.


class MaskedSource:
    """Source that hides the masks of ``active`` in every frame of another source, which it does not close.

    Detector, window, files, snapshots, events and viewers get the frame from here: none has the hidden pixels.
    """

    def __init__(self, source: Source, active: ActiveZones) -> None:
        self._source = source
        self._active = active

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def live(self) -> bool:
        return self._source.live

    @property
    def fps(self) -> float | None:
        return self._source.fps

    @property
    def ended(self) -> bool:
        return self._source.ended

    @property
    def counts(self) -> SourceCounts:
        return self._source.counts

    def read(self, timeout: float) -> Frame | None:
        frame = self._source.read(timeout)
        masks = self._active.shapes.masks
        return frame if frame is None or not masks else mask_frame(frame, masks)

    def __enter__(self) -> MaskedSource:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to do: the source is closed by its owner."""

    def __iter__(self) -> Iterator[Frame]:
        return iterate(self)


def mask_frame(frame: Frame, masks: tuple[Mask, ...]) -> Frame:
    """Return a frame with the masks hidden; an image that is not complete yet stays so."""
    captured = frame.captured
    if not isinstance(captured, DeferredImage):
        return replace(frame, captured=hide(captured, masks))
    deferred = DeferredImage(
        hide(captured.pixels, masks),
        captured.size,
        lambda: hide(captured.at_least(None), masks),
        lambda max_side: hide(captured.at_least(max_side), masks),
    )
    return replace(frame, captured=deferred)


def hide(image: Image, masks: tuple[Mask, ...]) -> Image:
    """Paint masks grey in an image, uint8 [H, W, 3], and return it; one that cannot be written to is copied.

    In place, because the copy of a large frame takes several times as long: nobody else has it yet.
    """
    if not image.flags.writeable:
        image = image.copy()
    for top, bottom, left, right in masked_rectangles(masks, image.shape[0], image.shape[1]):
        image[top:bottom, left:right] = MASK_GREY
    return image


@functools.lru_cache(maxsize=8)  # The frames of a camera have few sizes: the image, the detector's and the preview's.
def masked_rectangles(masks: tuple[Mask, ...], height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Return the hidden pixels of an image as rectangles (top, bottom, left, right), the last row and column excluded.

    Every pixel that a mask touches is hidden.
    """
    rectangles: list[tuple[int, int, int, int]] = []
    growing: dict[tuple[int, int], int] = {}  # by left and right: the top
    rows = np.pad(_masked_pixels(masks, height, width), ((0, 1), (1, 1))).astype(np.int8)
    for y, row in enumerate(np.diff(rows, axis=1)):
        spans = list(zip(np.flatnonzero(row == 1).tolist(), np.flatnonzero(row == -1).tolist(), strict=True))
        for span in [span for span in growing if span not in spans]:
            rectangles.append((growing.pop(span), y, *span))
        for span in spans:
            growing.setdefault(span, y)
    return rectangles


def _masked_pixels(masks: tuple[Mask, ...], height: int, width: int) -> npt.NDArray[np.bool_]:
    from PIL import Image as PillowImage
    from PIL import ImageDraw

    canvas = PillowImage.new("L", (width, height))
    for mask in masks:
        # Pillow's coordinates are those of pixel centers.
        centers = [(x * width - 0.5, y * height - 0.5) for x, y in mask.points]
        ImageDraw.Draw(canvas).polygon(centers, fill=1)
    pixels: npt.NDArray[np.bool_] = np.asarray(canvas) != 0
    for mask in masks:
        corners = [(x * width, y * height) for x, y in mask.points]
        for start, end in edges_of(corners, closed=True):
            _hide_edge(pixels, start, end)
    return pixels


def _hide_edge(pixels: npt.NDArray[np.bool_], start: Point, end: Point) -> None:
    """Set the pixels that an edge touches: their centers are at most half a diagonal from it. Sets a few more."""
    left, right = int(max(0, min(start[0], end[0]) - 2)), int(max(start[0], end[0]) + 2)
    top, bottom = int(max(0, min(start[1], end[1]) - 2)), int(max(start[1], end[1]) + 2)
    part = pixels[top:bottom, left:right]
    y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    from_x, from_y = x + 0.5 - start[0], y + 0.5 - start[1]
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max(dx * dx + dy * dy, 1e-12)
    along = np.clip((from_x * dx + from_y * dy) / length, 0, 1)
    part |= np.hypot(from_x - along * dx, from_y - along * dy) <= 0.7072
