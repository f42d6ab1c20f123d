"""Contact sheets: thumbnails of a dataset's images with their boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.data.dataset import Dataset, IntArray, Sample
from edge_ssd.drawing import class_color, draw_boxes
from edge_ssd.errors import DataError, ImageError
from edge_ssd.fonts import font_for

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Thumbnail", "contact_sheet", "draw_contact_sheet"]

_GAP, _TEXT_HEIGHT = 4, 16
_BACKGROUND, _TEXT_COLOR = (32, 32, 32), (235, 235, 235)


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """Content of one cell of a contact sheet.

    Attributes:
        pixels: uint8 RGB [H, W, 3] of any size; None leaves the cell empty.
        boxes_xyxy: [N, 4] in pixels of ``pixels``.
        class_ids: [N].
    """

    caption: str
    pixels: npt.NDArray[np.uint8] | None
    boxes_xyxy: FloatArray
    class_ids: IntArray


def contact_sheet(dataset: Dataset, columns: int = 6, rows: int = 4, cell: int = 200) -> Image.Image:
    """Draw up to ``columns`` × ``rows`` images, evenly spaced over the dataset, in cells of ``cell`` × ``cell`` pixels.

    The cell of an image that cannot be decoded stays empty. Raises DataError for no cells, or a ``cell`` below 16.
    """
    if columns < 1 or rows < 1 or cell < 16:
        raise DataError(
            f"a sheet needs at least one row, one column and cells of 16 pixels, got {rows}, {columns}, {cell}"
        )
    count = min(columns * rows, len(dataset))
    samples = (dataset.samples[index * len(dataset) // count] for index in range(count))
    return draw_contact_sheet(map(_thumbnail, samples), count, dataset.labels, columns, cell)


def draw_contact_sheet(
    thumbnails: Iterable[Thumbnail], count: int, labels: Sequence[str], columns: int = 6, cell: int = 200
) -> Image.Image:
    """Draw ``count`` thumbnails in a grid, with a legend of the class ``labels`` in color if there are several.

    Args:
        columns: maximum cells in a row.
        cell: width and height of a cell in pixels.
    """
    from PIL import Image, ImageDraw

    columns = min(columns, count)
    width = columns * (cell + _GAP) + _GAP
    legend = _layout_legend(labels, width)
    header_height = _GAP + _TEXT_HEIGHT * len(legend)
    row_height = cell + _TEXT_HEIGHT + _GAP
    sheet = Image.new("RGB", (width, header_height + math.ceil(count / columns) * row_height), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for line, entries in enumerate(legend):
        for left, class_id, label in entries:
            top = line * _TEXT_HEIGHT
            draw.rectangle((left, top + 5, left + 10, top + 15), fill=class_color(class_id))
            label, font = font_for(label, 12)
            draw.text((left + 15, top + 2), label, fill=_TEXT_COLOR, font=font)
    for index, thumbnail in enumerate(thumbnails):
        row, column = divmod(index, columns)
        left, top = _GAP + column * (cell + _GAP), header_height + row * row_height
        if thumbnail.pixels is not None:
            image = _fit_cell(thumbnail.pixels, thumbnail.boxes_xyxy, thumbnail.class_ids, cell)
            sheet.paste(image, (left + (cell - image.width) // 2, top + (cell - image.height) // 2))
        caption, font = font_for(_shorten(thumbnail.caption, cell), 11)
        draw.text((left, top + cell), caption, fill=_TEXT_COLOR, font=font)
    return sheet


def _thumbnail(sample: Sample) -> Thumbnail:
    from edge_ssd.runtime.preprocess import read_image

    try:
        pixels = read_image(sample.path)
    except ImageError:
        pixels = None
    return Thumbnail(sample.path.name, pixels, sample.boxes_xyxy, sample.class_ids)


def _fit_cell(pixels: npt.NDArray[np.uint8], boxes_xyxy: FloatArray, class_ids: IntArray, cell: int) -> Image.Image:
    """Resize an image to a longer side of ``cell`` pixels and draw its boxes."""
    from PIL import Image

    image = Image.fromarray(pixels)
    scale = cell / max(image.size)
    image = image.resize([max(round(side * scale), 1) for side in image.size], Image.Resampling.BOX)
    return Image.fromarray(draw_boxes(np.asarray(image), boxes_xyxy * scale, class_ids, border=True))


def _layout_legend(labels: Sequence[str], width: int) -> list[list[tuple[int, int, str]]]:
    """Return lines of (left, class id, label) that fit into ``width`` pixels; none for a single class."""
    if len(labels) < 2:
        return []
    lines: list[list[tuple[int, int, str]]] = [[]]
    left = _GAP
    for class_id, label in enumerate(labels):
        label = _shorten(label, width - 40)
        entry_width = 15 + round(_length(label, 12)) + 15
        if left + entry_width > width and lines[-1]:
            lines.append([])
            left = _GAP
        lines[-1].append((left, class_id, label))
        left += entry_width
    return lines


def _shorten(text: str, width: int) -> str:
    """Replace the middle of a text by dots if it is wider than ``width`` pixels."""
    shortened = text
    for kept in range(len(text) - 1, 1, -1):
        if _length(shortened, 11) <= width:
            break
        shortened = f"{text[: kept // 2]}..{text[len(text) - (kept - kept // 2) :]}"
    return shortened


def _length(text: str, size: int) -> float:
    """Return the width of a text in pixels."""
    text, font = font_for(text, size)
    return font.getlength(text)
