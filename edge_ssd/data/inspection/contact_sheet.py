"""A contact sheet: pictures of a data set with their boxes, to look at."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.data.dataset import Dataset, IntArray, Sample
from edge_ssd.drawing import COLOURS, font, printable
from edge_ssd.errors import DataError, ImageError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LabelledPicture", "contact_sheet", "draw_sheet"]

_GAP, _LINE = 4, 16
_BACKGROUND, _TEXT, _DARK = (32, 32, 32), (235, 235, 235), (20, 20, 20)


@dataclass(frozen=True, eq=False)
class LabelledPicture:
    """What a cell of a sheet shows: a caption, uint8 RGB [H, W, 3] or None, and boxes [N, 4] in pixels of it."""

    caption: str
    pixels: npt.NDArray[np.uint8] | None
    boxes_xyxy: FloatArray
    class_ids: IntArray


def contact_sheet(dataset: Dataset, columns: int = 6, rows: int = 4, cell: int = 200) -> Image.Image:
    """A sheet of pictures with their boxes, evenly chosen from the whole set; one colour a class, named on top.

    Pictures that cannot be decoded leave their cell empty. Raises DataError for a sheet without a cell.
    """
    if columns < 1 or rows < 1 or cell < 16:
        raise DataError(
            f"a sheet needs at least one row, one column and cells of 16 pixels, got {rows}, {columns}, {cell}"
        )
    count = min(columns * rows, len(dataset))
    chosen = [dataset.samples[index * len(dataset) // count] for index in range(count)]
    return draw_sheet(map(_read, chosen), count, dataset.labels, columns, cell)


def draw_sheet(
    pictures: Iterable[LabelledPicture], count: int, labels: Sequence[str], columns: int = 6, cell: int = 200
) -> Image.Image:
    """A sheet of ``count`` pictures, which are taken one at a time, in cells of ``cell`` pixels."""
    from PIL import Image, ImageDraw

    columns = min(columns, count)
    width = columns * (cell + _GAP) + _GAP
    legend = _legend(labels, width)
    top = _GAP + _LINE * len(legend)
    sheet = Image.new("RGB", (width, top + math.ceil(count / columns) * (cell + _LINE + _GAP)), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for line, entries in enumerate(legend):
        for left, class_id, label in entries:
            draw.rectangle(
                (left, line * _LINE + 5, left + 10, line * _LINE + 15), fill=COLOURS[class_id % len(COLOURS)]
            )
            draw.text((left + 15, line * _LINE + 2), label, fill=_TEXT, font=font(12))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        left, upper = _GAP + column * (cell + _GAP), top + row * (cell + _LINE + _GAP)
        small = _with_boxes(picture, cell)
        if small is not None:
            sheet.paste(small, (left + (cell - small.width) // 2, upper + (cell - small.height) // 2))
        draw.text((left, upper + cell), _fitting(picture.caption, cell), fill=_TEXT, font=font(11))
    return sheet


def _read(sample: Sample) -> LabelledPicture:
    from edge_ssd.runtime.preprocess import read_image

    try:
        pixels = read_image(sample.path)
    except ImageError:
        pixels = None
    return LabelledPicture(sample.path.name, pixels, sample.boxes_xyxy, sample.class_ids)


def _with_boxes(picture: LabelledPicture, side: int) -> Image.Image | None:
    """The picture at most ``side`` pixels large, its boxes drawn in; None where there is none."""
    from PIL import Image, ImageDraw

    if picture.pixels is None:
        return None
    whole = Image.fromarray(picture.pixels)
    scale = side / max(whole.size)
    small = whole.resize([max(round(length * scale), 1) for length in whole.size], Image.Resampling.BOX)
    draw = ImageDraw.Draw(small)
    for box, class_id in zip(picture.boxes_xyxy * scale, picture.class_ids, strict=True):
        left, top, right, bottom = (float(length) for length in box)
        colour = COLOURS[int(class_id) % len(COLOURS)]
        # A dark line around the coloured one keeps it visible on a ground of its own colour.
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_DARK)
        draw.rectangle((left, top, right, bottom), outline=colour)
    return small


def _legend(labels: Sequence[str], width: int) -> list[list[tuple[int, int, str]]]:
    """Lines of (left, class id, label) that fit into ``width``; none for a single class."""
    if len(labels) < 2:
        return []
    lines: list[list[tuple[int, int, str]]] = [[]]
    left = _GAP
    for class_id, label in enumerate(labels):
        label = _fitting(label, width - 40)
        needed = 15 + round(font(12).getlength(label)) + 15
        if left + needed > width and lines[-1]:
            lines.append([])
            left = _GAP
        lines[-1].append((left, class_id, label))
        left += needed
    return lines


def _fitting(text: str, width: int) -> str:
    """The text, its middle left out where it is too long."""
    text = shown = printable(text)
    for kept in range(len(text) - 1, 1, -1):
        if font(11).getlength(shown) <= width:
            break
        shown = f"{text[: kept // 2]}..{text[len(text) - (kept - kept // 2) :]}"
    return shown
