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
from device_apps.zones.shapes import Mask

__all__ = ["MASK_GREY", "MaskedSource", "hide", "mask_frame", "masked_pixels"]

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
    """Return a copy of an image, uint8 [H, W, 3], with grey masks; its memory layout stays."""
    hidden = image.copy(order="K")
    top, bottom, left, right, inside = masked_pixels(masks, image.shape[0], image.shape[1])
    part = hidden[top:bottom, left:right]
    part[inside] = MASK_GREY
    return hidden


@functools.lru_cache(maxsize=8)  # The frames of a camera have few sizes: the image, the detector's and the preview's.
def masked_pixels(masks: tuple[Mask, ...], height: int, width: int) -> tuple[int, int, int, int, npt.NDArray[np.bool_]]:
    """Return top, bottom, left, right of the masks in an image, and which pixels of this part are hidden.

    Every pixel that a mask touches is hidden.
    """
    from PIL import Image as PillowImage
    from PIL import ImageDraw

    canvas = PillowImage.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    for mask in masks:
        points = [(x * width, y * height) for x, y in mask.points]
        # Pillow's coordinates are those of pixel centers. The outline has the pixels that the edges touch.
        centers = [(x - 0.5, y - 0.5) for x, y in points]
        draw.polygon(centers, fill=1)
        draw.line([*centers, centers[0], centers[1]], fill=1, width=3)
    pixels = np.asarray(canvas) != 0
    rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
    if not len(rows):
        return 0, 0, 0, 0, pixels[:0, :0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return top, bottom, left, right, pixels[top:bottom, left:right]
