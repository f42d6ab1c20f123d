"""Whether the boxes of a dataset are stated in another way than its format says.

A format defines what its four numbers are, and label tools and scripts write other ones: 0–1 instead of pixels, widths
instead of corners, x and y exchanged. Each such reading is tried on all boxes. Another reading is concluded only if the
format's own fails for many boxes and the other one fails for next to none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.box_layouts import LAYOUTS, UNITS, BoxReading, Numbers, from_xyxy, to_xyxy
from edge_ssd.data.dataset import Problem
from edge_ssd.data.plausibility.evidence import ReadHeader, common_file, fits_inside, iter_headers, same_shape
from edge_ssd.data.plausibility.percent import PERCENT_MAX, judge_percent, may_be_per_mille
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError

__all__ = ["BoxReader", "choose_box_reader"]

# Different boxes that are needed to conclude their units, and to conclude another layout; of these, so many must fail.
_MIN_BOXES, _MIN_BOXES_LAYOUT, _MIN_FAILING = 3, 8, 3
# Share of the boxes that fail in a wrong reading at least, and in the right one at most.
_WRONG_SHARE, _RIGHT_SHARE = 0.1, 0.02
# Share of the boxes that exceed 100 % if they are in pixels.
_PIXELS_SHARE = 0.3
# Largest number of a box in 0–1, with a tolerance for rounding.
_NORMALIZED_MAX = 1.01
# Sides of an image to which a box extends that is not just drawn carelessly.
_MAX_EXTENT = 1.1
# Part of a side by which a box leaves its image that is not just inexact, and the share of the failing boxes that do so
# at least, if two layouts are mixed.
_FAR, _MIN_FAR = 0.03, 0.5
# Pixels of the shorter side of an image from which boxes in 0–1 can be no boxes in pixels.
_MIN_SIDE = 8


@dataclasses.dataclass(frozen=True)
class BoxReader:
    """Converts annotations from their format's reading of boxes to another one.

    Attributes:
        layout: layout in which the format states its boxes.
        percent: whether it states them in percent.
        reading: the reading to use, whose units are "" for those of each image; None for that of the format.
        problem: why ``reading`` was chosen, unless the user stated it.
        notice: another reading that fits as well.
    """

    layout: str
    percent: bool = False
    reading: BoxReading | None = None
    problem: Problem | None = None
    notice: Problem | None = None

    def apply(self, images: Iterable[ImageAnnotations]) -> list[ImageAnnotations]:
        """Return the annotations with their boxes in this reading.

        The layout of boxes that enclose polygons or rotated boxes stays: they are not stated by four numbers.
        """
        return [self._convert(image) if self.reading is not None else image for image in images]

    def _convert(self, image: ImageAnnotations) -> ImageAnnotations:
        assert self.reading is not None
        if not image.boxes:
            return image
        stated = np.array([box.box_xyxy for box in image.boxes])
        read = to_xyxy(from_xyxy(stated, self.layout), self.reading.layout)
        enclosing = np.array([box.enclosing for box in image.boxes])
        rows = np.where(enclosing[:, None], stated, read)
        units = self.reading.units or ("normalized" if image.normalized else "pixels")
        with np.errstate(over="ignore"):
            rows *= (100 if self.percent and image.normalized else 1) / (100 if units == "percent" else 1)
        boxes = tuple(_with_corners(box, row) for box, row in zip(image.boxes, rows.tolist(), strict=True))
        return dataclasses.replace(image, boxes=boxes, normalized=units != "pixels")


def choose_box_reader(
    source: DataSource, parsed: ParsedDataset, images: Sequence[ImageAnnotations], read_header: ReadHeader
) -> BoxReader:
    """Return how to read the boxes of a dataset: as ``source`` states it, which is not questioned, or as concluded.

    Args:
        images: the located annotations of all splits of ``parsed``.

    Raises:
        DataError: the boxes are in another layout than the format's, or in one of several others.
    """
    layout = parsed.box_layout
    normalized = {image.normalized for image in images if image.boxes}
    if len(normalized) != 1:  # no boxes, or each image in its own units
        reading = BoxReading(source.boxes or layout, source.box_units or "")
        return BoxReader(layout, parsed.percent, reading if source.boxes or source.box_units else None)
    own = BoxReading(layout, "pixels" if not normalized.pop() else "percent" if parsed.percent else "normalized")
    assumed = BoxReading(source.boxes or own.layout, source.box_units or own.units)
    if source.boxes and source.box_units:
        return BoxReader(layout, parsed.percent, None if assumed == own else assumed)
    boxes, sizes = _different_boxes(images, read_header)
    if len(boxes) < _MIN_BOXES:
        return BoxReader(layout, parsed.percent, None if assumed == own else assumed)
    numbers = from_xyxy(boxes, layout) * (100 if parsed.percent else 1)
    path = common_file(source.folder, images)
    may_be_percent = own.units == "pixels" and not source.box_units
    percent = judge_percent(numbers, sizes, assumed.layout) if may_be_percent else "no"
    fact = f"no number of {count(len(boxes), 'box')} exceeds {numbers.max():g}, while the images are larger"
    if percent == "probable":
        raise DataError(
            f"{path}: {fact}: read them as percent of the image with --box-units percent, or as pixels with "
            "--box-units pixels"
        )
    units = (source.box_units,) if source.box_units else _possible_units(numbers, sizes, own.units)
    layouts = (source.boxes,) if source.boxes else tuple(LAYOUTS)
    readings = [BoxReading(a, b) for b in units for a in layouts]
    if may_be_percent and numbers.max() <= PERCENT_MAX and not any(_is_right(numbers, sizes, r) for r in readings):
        readings.append(BoxReading(assumed.layout, "percent"))
    stated = bool(source.boxes or source.box_units)
    reading, message = _conclude(path, numbers, sizes, assumed, readings, stated)
    problem = Problem(path, message) if message else None
    notice: Problem | None = None
    if percent == "possible" and reading.units == "pixels":
        advice = "if they are percent of the image, state it with --box-units percent"
        message = f"no number of {count(len(boxes), 'box')} exceeds {numbers.max():g}: read as pixels; {advice}"
        notice = Problem(path, message, doubt="box_units")
    elif may_be_percent and reading.units == "pixels" and may_be_per_mille(numbers, sizes, reading.layout):
        advice = "read as pixels; scale them if they are in 0–1000, as language models write them"
        message = f"{fact}: {advice}"
        notice = Problem(path, message, doubt="box_units")
    return BoxReader(layout, parsed.percent, None if reading == own else reading, problem, notice)


def _different_boxes(images: Sequence[ImageAnnotations], read_header: ReadHeader) -> tuple[Numbers, Numbers]:
    """Return the different finite boxes, xyxy [N, 4], with the (height, width) of their images, [N, 2]."""
    rows: list[tuple[float, ...]] = []
    for image, header in iter_headers(images, read_header):
        size, stated = header.size, image.stated_size
        if stated is not None and same_shape(size, stated):  # the boxes may be those of a resized copy
            size = max(size, stated)
        rows += [(*box.box_xyxy, *size) for box in image.boxes if not box.enclosing]
    table = np.array(rows, np.float64).reshape(-1, 6)
    table = np.unique(table[np.isfinite(table).all(axis=1)], axis=0)
    return table[:, :4], table[:, 4:]


def _conclude(
    path: Path,
    numbers: Numbers,
    sizes: Numbers,
    own: BoxReading,
    readings: Sequence[BoxReading],
    stated: bool,
) -> tuple[BoxReading, str]:
    """Return the right one of ``readings`` for numbers [N, 4], and a message if it is not ``own``.

    ``stated`` is whether the user states a part of ``own``.

    Raises DataError in doubt, and for another layout.
    """
    failing = {reading: _count_failing(numbers, sizes, reading) for reading in readings}
    right = sorted((r for r in readings if failing[r] <= _RIGHT_SHARE * len(numbers)), key=failing.__getitem__)
    if own in readings:
        few = len(numbers) < _MIN_BOXES_LAYOUT or failing[own] < max(_MIN_FAILING, _WRONG_SHARE * len(numbers))
        if own in right or few:
            return own, ""
        if not right:
            if not stated:
                _refuse_impossible(path, numbers, sizes, own)
            return own, ""
        fact = f"{failing[own]} of {count(len(numbers), 'box')} leave their image or have no area"
        same_layout = all(reading.layout == own.layout for reading in right)
        keep = f"--box-units {own.units}" if same_layout else f"--boxes {own.layout}"
        raise DataError(f"{path}: read as {_describe(own)}, {fact}: {_advise(own, right)}; {keep} reads them as now")
    # Numbers in 0–1 are so in every layout: that of the format is right if it fits. Pixels fit other layouts by chance.
    other = BoxReading(own.layout, readings[0].units)
    if other in right and (other.units == "normalized" or len(right) == 1):
        message = (
            f"the boxes are in {UNITS[other.units]}, not in {UNITS[own.units]} as the format says, and are read so; "
            f"state it with --box-units {other.units}, or correct the labels"
        )
        return other, message
    fact = f"the numbers of the boxes are {numbers.min():g} to {numbers.max():g}, not in {UNITS[own.units]}"
    raise DataError(f"{path}: {fact} as the format says: {_advise(own, right or [other])}")


def _refuse_impossible(path: Path, numbers: Numbers, sizes: Numbers, own: BoxReading) -> None:
    """Raise DataError if many boxes are wrong as ``own``, while no reading fits all."""
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = to_xyxy(numbers, own.layout) * _pixels_per_unit(sizes, own.units)
        limits = sizes[:, ::-1]
        extents = (boxes[:, 2:] / limits).max(axis=1)
    least = max(_MIN_FAILING, _WRONG_SHARE * len(numbers))
    fails = ~fits_inside(boxes, sizes)
    low, high = boxes[:, :2], boxes[:, 2:]
    # Boxes that were scaled or drawn a bit too large leave their image by little, and fit another layout by chance.
    far = (low >= high) | (low < -_FAR * limits) | (high > (1 + _FAR) * limits)
    mixed = fails.sum() >= least and far[fails].any(axis=1).mean() >= _MIN_FAR
    fact = f"{int(fails.sum())} of {len(numbers)} boxes leave their image or have no area as {_describe(own)}"
    advice = f"correct them; --boxes {own.layout} reads them all as now"
    for other in (BoxReading(layout, own.units) for layout in LAYOUTS if layout != own.layout):
        if mixed and _is_right(numbers[fails], sizes[fails], other):
            raise DataError(f"{path}: {fact}, but not as {_describe(other)}: two layouts are mixed: {advice}")
    # Asked second: the corners of widths and heights read as corners are exchanged too.
    upright = np.concatenate((np.minimum(low, high), np.maximum(low, high)), axis=1)
    if mixed and fits_inside(upright[fails], sizes[fails]).mean() >= 1 - _RIGHT_SHARE:
        reversed_boxes = f"{fact}, since their corners are exchanged, as of boxes drawn from right to left or upwards"
        raise DataError(f"{path}: {reversed_boxes}: {advice}")
    count = int((extents > _MAX_EXTENT).sum())
    if count >= least:
        raise DataError(
            f"{path}: {count} of {len(numbers)} boxes exceed their images, by up to ×{extents.max():.3g}: they were "
            "made for images of another size, or are in other units, such as 0–1000: scale them, or use those images; "
            f"--boxes {own.layout} reads them as now"
        )
    impossible = (low >= high) | (low < (1 - _MAX_EXTENT) * limits) | (high > _MAX_EXTENT * limits)
    if impossible.any(axis=1).sum() >= least:
        raise DataError(f"{path}: {fact}, and some do in any other layout: labels of several kinds are mixed: {advice}")


def _possible_units(numbers: Numbers, sizes: Numbers, own: str) -> tuple[str, ...]:
    """Return the units that the magnitude of the numbers allows; the format's own unless nearly all contradict it."""
    tiny = (np.abs(numbers) <= _NORMALIZED_MAX).all(axis=1) & (sizes.min(axis=1) >= _MIN_SIDE)
    if own != "normalized":
        if tiny.mean() >= 1 - _RIGHT_SHARE:
            return ("normalized",)
        exceeding = (numbers > PERCENT_MAX).any(axis=1).mean()
        return ("pixels",) if own == "percent" and exceeding >= _PIXELS_SHARE else (own,)
    if (numbers > 2 * _NORMALIZED_MAX).any(axis=1).mean() < 1 - _WRONG_SHARE:
        return (own,)
    return ("pixels", "percent") if numbers.max() <= PERCENT_MAX else ("pixels",)


def _count_failing(numbers: Numbers, sizes: Numbers, reading: BoxReading) -> int:
    with np.errstate(over="ignore", invalid="ignore"):
        boxes = to_xyxy(numbers, reading.layout) * _pixels_per_unit(sizes, reading.units)
        return int((~fits_inside(boxes, sizes)).sum())


def _is_right(numbers: Numbers, sizes: Numbers, reading: BoxReading) -> bool:
    return _count_failing(numbers, sizes, reading) <= _RIGHT_SHARE * len(numbers)


def _pixels_per_unit(sizes: Numbers, units: str) -> npt.NDArray[np.float64] | float:
    """Return the factor from units to pixels, [N, 4], or 1."""
    if units == "pixels":
        return 1.0
    pixels = sizes[:, [1, 0, 1, 0]]
    return pixels / 100 if units == "percent" else pixels


def _describe(reading: BoxReading) -> str:
    return f"{LAYOUTS[reading.layout]} in {UNITS[reading.units]}"


def _options(reading: BoxReading, own: BoxReading) -> str:
    layout = f"--boxes {reading.layout}" if reading.layout != own.layout else ""
    units = f"--box-units {reading.units}" if reading.units != own.units else ""
    return " ".join(filter(None, (layout, units)))


def _advise(own: BoxReading, right: Sequence[BoxReading]) -> str:
    """Return what the other readings are, and the options that select them or the format's own."""
    if len(right) == 1:
        read = f"read them as {_describe(right[0])} with {_options(right[0], own)}"
    else:
        choices = ", ".join(f"{_options(reading, own)} ({_describe(reading)})" for reading in right)
        read = f"choose how to read them: {choices}"
    return f"{read}, or correct the labels"


def _with_corners(box: BoxAnnotation, row: Sequence[float]) -> BoxAnnotation:
    xmin, ymin, xmax, ymax = row
    return dataclasses.replace(box, box_xyxy=(xmin, ymin, xmax, ymax))
