"""Pareto plot of models: accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from edge_ssd.charts import BLUE, ORANGE, new_figure

if TYPE_CHECKING:
    from edge_ssd.charts import Figure

__all__ = ["Point", "pareto_front", "plot_pareto_front"]

_OVERLAP = 0.03  # points closer than this share of both axes get one common label


class Point(NamedTuple):
    """A model with its cost (lower is better) and accuracy (higher is better)."""

    name: str
    cost: float
    accuracy: float


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Return the points more accurate than any other at the same or lower cost, cheapest first, equal points once."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def plot_pareto_front(points: Sequence[Point], title: str, cost_label: str, accuracy_label: str) -> Figure:
    """Plot one or more points with their names, accuracy over cost; a line joins those of the Pareto front."""
    figure = new_figure(900, 520)
    axes = figure.subplots()
    front = pareto_front(points)
    dominated = [point for point in points if point not in front]
    for group, style, color in ((dominated, "o", ORANGE), (front, "o-", BLUE)):
        axes.plot([point.cost for point in group], [point.accuracy for point in group], style, color=color)
    accuracies = [point.accuracy for point in points]
    margin = max(0.2 * (max(accuracies) - min(accuracies)), 0.01)
    max_cost = 1.15 * max(point.cost for point in points)
    low, high = min(accuracies) - margin, max(accuracies) + margin
    axes.set(xlim=(0, max_cost), ylim=(low, high), xlabel=cost_label, ylabel=accuracy_label)

    def overlap(first: Point, second: Point) -> bool:
        near_cost = abs(first.cost - second.cost) < _OVERLAP * max_cost
        return near_cost and abs(first.accuracy - second.accuracy) < _OVERLAP * (high - low)

    names_at: dict[Point, list[str]] = {}
    for point in points:
        labeled = next((other for other in names_at if overlap(point, other)), point)
        names_at.setdefault(labeled, []).append(point.name)
    for point, names in names_at.items():
        right_half = point.cost > max_cost / 2
        axes.annotate(
            "\n".join(names),
            (point.cost, point.accuracy),
            xytext=(-8 if right_half else 8, -8),
            textcoords="offset points",
            ha="right" if right_half else "left",
            va="top",
        )
    axes.set_title(title, loc="left")
    return figure
