"""What is in a data set: counts, sizes, faults; and a sheet of its pictures with their boxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_ssd.data.dataset import Dataset, Problem
from edge_ssd.errors import DataError, ImageError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Summary", "contact_sheet", "format_summary", "summarise", "undecodable"]

_SHOWN_PROBLEMS = 20
_QUANTILES = (0, 5, 50, 95, 100)
_COLOURS = ((255, 59, 48), (0, 199, 255), (255, 204, 0), (76, 217, 100), (255, 45, 220), (255, 149, 0), (120, 110, 255))


@dataclass(frozen=True)
class Summary:
    """Counts of a data set.

    Attributes:
        format: name of the label format.
        pictures, backgrounds: pictures in all, and those without a box.
        boxes: in all.
        boxes_by_label: label → boxes, in the order of the class ids.
        side_quantiles: quantile in percent → longer side of a box as a share of its picture's longer side.
        picture_sizes: (width, height) → pictures, most frequent first.
        problems: as the loader reported them.
    """

    format: str
    pictures: int
    backgrounds: int
    boxes: int
    boxes_by_label: dict[str, int]
    side_quantiles: dict[int, float]
    picture_sizes: dict[tuple[int, int], int]
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "format": self.format,
            "pictures": self.pictures,
            "backgrounds": self.backgrounds,
            "boxes": self.boxes,
            "boxes_by_label": dict(self.boxes_by_label),
            "side_quantiles": {str(key): round(value, 4) for key, value in self.side_quantiles.items()},
            "picture_sizes": [
                {"width": width, "height": height, "pictures": count}
                for (width, height), count in self.picture_sizes.items()
            ],
            "problems": [{"file": str(problem.path), "message": problem.message} for problem in self.problems],
        }


def summarise(dataset: Dataset) -> Summary:
    """Count what a data set holds."""
    counts = np.zeros(len(dataset.labels), np.int64)
    sizes: dict[tuple[int, int], int] = {}
    shares: list[float] = []
    for sample in dataset.samples:
        counts += np.bincount(sample.class_ids, minlength=len(dataset.labels))
        if sample.size is not None:
            height, width = sample.size
            sizes[width, height] = sizes.get((width, height), 0) + 1
            sides = (sample.boxes_xyxy[:, 2:] - sample.boxes_xyxy[:, :2]).max(axis=1, initial=0)
            shares.extend((sides / max(height, width)).tolist())
    quantiles = {q: float(np.percentile(shares, q)) for q in _QUANTILES} if shares else {}
    return Summary(
        format=dataset.format,
        pictures=len(dataset),
        backgrounds=sum(not len(sample.class_ids) for sample in dataset.samples),
        boxes=dataset.num_boxes,
        boxes_by_label={label: int(count) for label, count in zip(dataset.labels, counts, strict=True)},
        side_quantiles=quantiles,
        picture_sizes=dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))),
        problems=dataset.problems,
    )


def format_summary(summary: Summary, title: str) -> str:
    """A summary for a person to read; the problems' list is cut after ``_SHOWN_PROBLEMS``."""
    lines = [f"{title}: {summary.pictures} pictures, {summary.boxes} boxes ({summary.format})"]
    if summary.backgrounds:
        lines[0] += f", {summary.backgrounds} pictures without a box"
    width = max((len(label) for label in summary.boxes_by_label), default=0)
    lines += [f"  {label:<{width}}  {count:>7}" for label, count in summary.boxes_by_label.items()]
    if summary.side_quantiles:
        low, *_, high = summary.side_quantiles.values()
        lines.append(
            f"  longer side of a box: {low:.0%} to {high:.0%} of its picture's, "
            f"half below {summary.side_quantiles[50]:.0%}"
        )
    if summary.picture_sizes:
        common = [f"{w}×{h} ({count})" for (w, h), count in list(summary.picture_sizes.items())[:3]]
        more = len(summary.picture_sizes) - len(common)
        lines.append(f"  picture sizes: {', '.join(common)}{f' and {more} more' if more else ''}")
    if summary.problems:
        lines.append(f"  {len(summary.problems)} problem{'s' if len(summary.problems) > 1 else ''}:")
        lines += [f"    {problem}" for problem in summary.problems[:_SHOWN_PROBLEMS]]
        if len(summary.problems) > _SHOWN_PROBLEMS:
            lines.append(f"    and {len(summary.problems) - _SHOWN_PROBLEMS} more (--json lists all)")
    return "\n".join(lines)


def undecodable(dataset: Dataset, progress: Callable[[int, int | None], None] | None = None) -> tuple[Problem, ...]:
    """Decode every picture to its last pixel; loading reads headers only. Returns those that fail."""
    from edge_ssd.runtime.preprocess import read_image

    problems = []
    for number, sample in enumerate(dataset.samples, 1):
        try:
            read_image(sample.path)
        except ImageError as error:
            problems.append(Problem(sample.path, str(error).removeprefix(f"{sample.path}: ")))
        if progress is not None:
            progress(number, len(dataset))
    return tuple(problems)


def contact_sheet(dataset: Dataset, columns: int = 6, rows: int = 4, cell: int = 200) -> Image.Image:
    """A sheet of pictures with their boxes, evenly chosen from the whole set; one colour a class.

    Pictures that cannot be decoded leave their cell empty. Raises DataError for a sheet without a cell.
    """
    from PIL import Image, ImageDraw

    from edge_ssd.runtime.preprocess import read_image

    if columns < 1 or rows < 1 or cell < 16:
        raise DataError(
            f"a sheet needs at least one row, one column and cells of 16 pixels, got {rows}, {columns}, {cell}"
        )
    count = min(columns * rows, len(dataset))
    chosen = [dataset.samples[index * len(dataset) // count] for index in range(count)]
    columns = min(columns, count)
    gap = 4
    sheet = Image.new(
        "RGB", (columns * (cell + gap) + gap, math.ceil(count / columns) * (cell + gap) + gap), (32, 32, 32)
    )
    for index, sample in enumerate(chosen):
        try:
            picture = Image.fromarray(read_image(sample.path))
        except ImageError:
            continue
        scale = cell / max(picture.size)
        small = picture.resize([max(round(side * scale), 1) for side in picture.size], Image.Resampling.BOX)
        draw = ImageDraw.Draw(small)
        for box, class_id in zip(sample.boxes_xyxy * scale, sample.class_ids, strict=True):
            colour = _COLOURS[int(class_id) % len(_COLOURS)]
            draw.rectangle(tuple(float(side) for side in box), outline=colour)
            if len(dataset.labels) > 1:
                draw.text((float(box[0]) + 2, float(box[1])), dataset.labels[int(class_id)], fill=colour)
        row, column = divmod(index, columns)
        left = gap + column * (cell + gap) + (cell - small.width) // 2
        top = gap + row * (cell + gap) + (cell - small.height) // 2
        sheet.paste(small, (left, top))
    return sheet
