"""Accuracy against cost, a point for each model, drawn with Pillow: a board has no Matplotlib."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from edge_ssd.drawing import font, printable

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

__all__ = ["Point", "pareto_front", "plot_pareto_front", "ticks"]

_WIDTH, _HEIGHT = 900, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 70, 75
_RADIUS, _GAP = 6, 5
_INK, _PALE, _GRID = (40, 40, 40), (120, 120, 120), (225, 225, 225)
_FRONT, _BEATEN = (66, 133, 190), (230, 120, 30)

_Box = tuple[float, float, float, float]


class Point(NamedTuple):
    """A model: less cost is better, more accuracy is."""

    name: str
    cost: float
    accuracy: float


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The front: each point that is more accurate than all that cost no more, by rising cost.

    Of equal points the first is taken.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most so many: multiples of 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10((high - low) / most))
    step = next(
        factor * power
        for factor in (1, 2, 5, 10, 20)
        if math.floor(high / (factor * power)) - math.ceil(low / (factor * power)) < most
    )
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def plot_pareto_front(points: Sequence[Point], title: str, cost_label: str, accuracy_label: str) -> Image.Image:
    """The points with their names, those of the front joined by a line. At least one must be there."""
    from PIL import Image, ImageDraw

    axes = _Axes(points)
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    _frame(draw, axes, printable(title), printable(cost_label), printable(accuracy_label))
    front = pareto_front(points)
    if len(front) > 1:
        draw.line([axes.place(point) for point in front], fill=_FRONT, width=2)
    taken = []
    for point in points:
        x, y = axes.place(point)
        taken.append((x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS))
        draw.ellipse(taken[-1], fill=_FRONT if point in front else _BEATEN, outline="white")
    for point in points:
        name = printable(point.name)
        box = _free_place(*axes.place(point), font(13).getlength(name), 15, taken)
        taken.append(box)
        draw.text(
            (box[0], (box[1] + box[3]) / 2),
            name,
            fill=_INK,
            font=font(13),
            anchor="lm",
            stroke_width=2,
            stroke_fill="white",
        )
    return image


class _Axes:
    """Costs from nothing on; accuracies around those that are there."""

    def __init__(self, points: Sequence[Point]) -> None:
        accuracies = [point.accuracy for point in points]
        room = max(0.2 * (max(accuracies) - min(accuracies)), 0.01)
        self.lowest, self.highest = min(accuracies) - room, max(accuracies) + room
        self.dearest = 1.15 * max(point.cost for point in points)

    def place(self, point: Point) -> tuple[float, float]:
        return self.x(point.cost), self.y(point.accuracy)

    def x(self, cost: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * cost / self.dearest

    def y(self, accuracy: float) -> float:
        share = (accuracy - self.lowest) / (self.highest - self.lowest)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _frame(draw: ImageDraw.ImageDraw, axes: _Axes, title: str, cost_label: str, accuracy_label: str) -> None:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for accuracy in ticks(axes.lowest, axes.highest):
        y = axes.y(accuracy)
        draw.line((_LEFT, y, right, y), fill=_GRID)
        draw.text((_LEFT - 8, y), f"{accuracy:.4g}", fill=_PALE, font=font(12), anchor="rm")
    for cost in ticks(0, axes.dearest):
        x = axes.x(cost)
        draw.line((x, _TOP, x, bottom + 5), fill=_GRID)
        draw.text((x, bottom + 8), f"{cost:.4g}", fill=_PALE, font=font(12), anchor="mt")
    draw.line((_LEFT, bottom, right, bottom), fill=_INK)
    draw.line((_LEFT, _TOP, _LEFT, bottom), fill=_INK)
    draw.text((_LEFT, 14), title, fill=_INK, font=font(18))
    draw.text((_LEFT, 44), accuracy_label, fill=_INK, font=font(13))
    draw.text((right, bottom + 50), cost_label, fill=_INK, font=font(13), anchor="rm")


def _free_place(x: float, y: float, width: float, height: float, taken: Sequence[_Box]) -> _Box:
    """Where a name of this size stands beside its point and on nothing else; below it, where there is no such place."""
    for left, top in _beside(x, y, width, height):
        box = (left, top, left + width, top + height)
        inside = box[0] > _LEFT and box[2] < _WIDTH and box[1] > _TOP and box[3] < _HEIGHT - _BOTTOM
        if inside and not any(_overlap(box, other) for other in taken):
            return box
    return box


def _beside(x: float, y: float, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Left upper corners: to the right, to the left, above, below, then further above and below."""
    away = _RADIUS + _GAP
    yield x + away, y - height / 2
    yield x - away - width, y - height / 2
    for line in range(3):
        yield x - width / 2, y - away - (line + 1) * height
        yield x - width / 2, y + away + line * height


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
