"""Tiles: overlapping parts of an image in which small objects are detected at a higher resolution, and their merging.

A network with a fixed input sees an image that is reduced to that input; an object of a few pixels is lost. So the
image is divided into tiles, each is detected by itself, and the whole image is too, for the objects that fill more than
a tile. The overlap lets an object that is smaller than it lie completely in one of the tiles.

Source: Akyon et al., 2022, "Slicing Aided Hyper Inference and Fine-tuning for Small Object Detection". Unlike there, a
box is judged by where it lies: only a box that touches a border inside the image can be a part of an object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.checks import as_flag, as_fraction, as_integer, as_size, shortened
from edge_ssd.errors import SettingError
from edge_ssd.nms import nms
from edge_ssd.runtime.detections import Detections

__all__ = ["Tile", "Tiles", "merge_tiles"]

_MAX_TILES = 256  # of an image; more take minutes on a board, and are a mistake in most cases
_MAX_OVERLAP = 0.9
_TEXT = re.compile(r"\s*(\d{1,6})\s*[xX*\u00d7]\s*(\d{1,6})\s*(px)?\s*", re.ASCII)
_EXAMPLES = '"2x2" (columns x rows) or "640x480px" (width x height in pixels)'
# Share of a tile's side within which a box touches a border: a network places a side to about this share of its input.
_BORDER = 0.02
# A box at an inner border is dropped if a larger box covers this share of it.
_COVERED = 0.6


class Tile(NamedTuple):
    """Rectangle of an image in whole pixels; ``right`` and ``bottom`` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Tiles:
    """How an image is divided into overlapping tiles.

    Attributes:
        columns, rows: number of tiles; 0 where their size is stated.
        width, height: size of a tile in pixels of the image; 0 where their number is stated. A smaller image is one
            tile.
        overlap: share of a tile's width (height) that the next one covers too, 0-0.9, at least.
        whole: whether to detect in the whole image as well.

    Raises:
        SettingError: an invalid value, or both a number and a size.
    """

    columns: int = 0
    rows: int = 0
    width: int = 0
    height: int = 0
    overlap: float = 0.2
    whole: bool = True

    def __post_init__(self) -> None:
        for name in ("columns", "rows", "width", "height"):
            object.__setattr__(self, name, as_integer(f"{name} of tiles", getattr(self, name), 0))
        object.__setattr__(self, "overlap", as_fraction("overlap of tiles", self.overlap))
        object.__setattr__(self, "whole", as_flag("whole of tiles", self.whole))
        if self.overlap > _MAX_OVERLAP:
            raise SettingError(f"overlap of tiles must be from 0 to {_MAX_OVERLAP:g}, got {self.overlap:g}")
        numbers, sizes = (self.columns, self.rows), (self.width, self.height)
        if not (all(numbers) and not any(sizes)) and not (all(sizes) and not any(numbers)):
            raise SettingError(
                f"tiles need columns and rows, or a width and a height in pixels, got columns={self.columns}, "
                f"rows={self.rows}, width={self.width}, height={self.height}"
            )
        if self.columns * self.rows > _MAX_TILES:
            raise SettingError(f"{self.columns} x {self.rows} tiles are too many: at most {_MAX_TILES}")

    @classmethod
    def parse(cls, text: str, overlap: float = 0.2, whole: bool = True) -> Tiles:
        """Return the tiles that a text states: "2x2" (columns x rows) or "640x480px" (width x height in pixels)."""
        match = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise SettingError(f"tiles must be like {_EXAMPLES}, got {shortened(text)}")
        first, second = int(match[1]), int(match[2])
        if not first or not second:
            raise SettingError(f"tiles must be at least 1 in each direction, like {_EXAMPLES}, got {shortened(text)}")
        if match[3]:
            return cls(width=first, height=second, overlap=overlap, whole=whole)
        return cls(columns=first, rows=second, overlap=overlap, whole=whole)

    def __str__(self) -> str:
        """Return the text of :meth:`parse`."""
        return f"{self.columns}x{self.rows}" if self.columns else f"{self.width}x{self.height}px"

    def divide(self, image_size: tuple[int, int]) -> list[Tile]:
        """Return the tiles of an image, row by row from the top left; the whole image comes last.

        Tiles have one size and are spread evenly; those of a stated size overlap more where the image asks for it.
        Raises SettingError if the image would have more than 256 of them.

        Args:
            image_size: (height, width) in pixels.
        """
        height, width = as_size("image_size", image_size)
        columns = _intervals(width, self.columns, self.width, self.overlap)
        rows = _intervals(height, self.rows, self.height, self.overlap)
        if len(columns) * len(rows) > _MAX_TILES:
            raise SettingError(
                f"an image of {width}x{height} has {len(columns)} x {len(rows)} tiles of {self.width}x{self.height} "
                f"pixels, and at most {_MAX_TILES} are possible: choose larger ones"
            )
        tiles = [Tile(left, top, right, bottom) for top, bottom in rows for left, right in columns]
        whole = Tile(0, 0, width, height)
        return [*tiles, whole] if self.whole and whole not in tiles else tiles


def _intervals(length: int, number: int, side: int, overlap: float) -> list[tuple[int, int]]:
    """Return (start, end) of the tiles along one side of an image, by their number or, if it is 0, by their side."""
    if number:
        side = math.ceil(length / (number - (number - 1) * overlap))
    side = min(side, length)
    if not number:
        number = 1 + math.ceil((length - side) / max(1.0, side * (1 - overlap)))
    number = min(number, length)
    starts = [round(index * (length - side) / (number - 1)) for index in range(number)] if number > 1 else [0]
    return [(start, start + side) for start in starts]


def merge_tiles(
    parts: Sequence[Detections],
    tiles: Sequence[Tile],
    image_size: tuple[int, int],
    iou_threshold: float,
    max_detections: int,
    class_agnostic: bool = False,
) -> Detections:
    """Merge the detections of each tile into those of the image.

    First, parts of objects go: a box that touches a border of its tile inside the image is dropped if a larger box of
    the same class covers most of it. Then boxes suppress each other across tiles as they do in one image (NMS).

    Args:
        parts: of each tile, in its pixels.
        tiles: the tiles, in pixels of the image.
        image_size: (height, width) of the image.
        iou_threshold, max_detections, class_agnostic: as for :class:`~edge_ssd.Detector`.
    """
    moved = [_in_image(part, tile, image_size) for part, tile in zip(parts, tiles, strict=True)]
    cut = np.concatenate([np.zeros(0, np.bool_), *map(_touch_inner_border, moved, tiles)])
    merged = Detections.merge([Detections.empty(image_size), *moved])
    classes = np.zeros_like(merged.class_id) if class_agnostic else merged.class_id
    complete = ~_covered(merged.xyxy, classes, cut)
    merged, classes = merged[complete], classes[complete]
    return merged[nms(merged.xyxy, merged.confidence, iou_threshold, classes, max_detections)]


def _in_image(part: Detections, tile: Tile, image_size: tuple[int, int]) -> Detections:
    """Return detections in a tile as those of the image."""
    shift = np.array([tile.left, tile.top] * 2, np.float32)
    return Detections(part.xyxy + shift, part.confidence, part.class_id, part.names, image_size)


def _touch_inner_border(detections: Detections, tile: Tile) -> npt.NDArray[np.bool_]:
    """Return for each detection of a tile whether it reaches a border of it that is not one of the image; bool [N]."""
    height, width = detections.image_size
    boxes = detections.xyxy
    near_x, near_y = _BORDER * (tile.right - tile.left), _BORDER * (tile.bottom - tile.top)
    touches = np.zeros(len(boxes), np.bool_)
    if tile.left > 0:
        touches |= boxes[:, 0] <= tile.left + near_x
    if tile.top > 0:
        touches |= boxes[:, 1] <= tile.top + near_y
    if tile.right < width:
        touches |= boxes[:, 2] >= tile.right - near_x
    if tile.bottom < height:
        touches |= boxes[:, 3] >= tile.bottom - near_y
    return touches


def _covered(boxes: FloatArray, classes: npt.NDArray[np.int64], cut: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return whether each box is cut, and mostly covered by a larger box of its class; bool [N]."""
    covered = np.zeros(len(boxes), np.bool_)
    parts = boxes[cut]
    shared = np.minimum(parts[:, None, 2:], boxes[:, 2:]) - np.maximum(parts[:, None, :2], boxes[:, :2])
    areas = shared.clip(0).prod(axis=2)
    all_areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    own = all_areas[cut][:, None]
    same = classes[cut][:, None] == classes
    covered[cut] = ((areas >= _COVERED * own) & (all_areas > own) & same).any(axis=1)
    return covered
