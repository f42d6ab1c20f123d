"""The front as a picture for a page: accuracy against cost, a point for each variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from device_apps.pareto_plot import Point, pareto_front
from edge_ssd.files import atomic_path

__all__ = ["draw_curve"]


def draw_curve(points: Sequence[Point], cost_label: str, path: Path) -> None:
    """Draw as PNG; a line joins the variants that none beats at both. At least one point must be there."""
    # Not pyplot: a figure of its own needs no display and leaves no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    front = pareto_front(points)
    axes.plot([point.cost for point in front], [point.accuracy for point in front], "o-", label="beaten by none")
    beaten = [point for point in points if point not in front]
    if beaten:
        axes.plot([point.cost for point in beaten], [point.accuracy for point in beaten], "o", label="beaten")
    for point in points:
        axes.annotate(point.name, (point.cost, point.accuracy), xytext=(6, -12), textcoords="offset points")
    axes.set_xlim(0, 1.2 * max(point.cost for point in points))
    axes.margins(y=0.15)
    axes.set_xlabel(cost_label)
    axes.set_ylabel("int8 average precision")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
