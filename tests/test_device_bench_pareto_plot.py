"""device_apps.bench.pareto_plot: the Pareto front and its plot, from points chosen by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from device_apps.bench.pareto_plot import Point, pareto_front, plot_pareto_front
from edge_ssd.charts import BLUE, ORANGE

pytest.importorskip("matplotlib")

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def test_pareto_front_excludes_dominated_points() -> None:
    large, small, worse, dear, tiny = (
        Point("large", 100, 0.8),
        Point("small", 40, 0.75),
        Point("worse", 50, 0.7),
        Point("dear", 120, 0.8),
        Point("tiny", 40, 0.6),
    )
    assert pareto_front([large, small, worse, dear, tiny]) == [small, large]
    assert pareto_front([Point("a", 1, 0.5), Point("b", 1, 0.5)]) == [Point("a", 1, 0.5)]
    assert pareto_front([]) == []


def drawn_points(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    return {line.get_color(): line.get_xydata().tolist() for line in figure.axes[0].lines}


def test_plot_places_points_and_joins_the_front() -> None:
    points = [Point("large", 200, 0.8), Point("small", 100, 0.7), Point("worse", 150, 0.6)]
    figure = plot_pareto_front(points, "title", "cost", "accuracy")
    axes = figure.axes[0]
    assert drawn_points(figure) == {ORANGE: [[150, 0.6]], BLUE: [[100, 0.7], [200, 0.8]]}
    assert (axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel()) == ("title", "cost", "accuracy")
    assert axes.get_xlim() == pytest.approx((0, 230))
    assert axes.get_ylim() == pytest.approx((0.56, 0.84))
    assert [text.get_text() for text in axes.texts] == ["large", "small", "worse"]


def test_plot_names_stay_inside_the_figure_and_points_at_one_place_share_a_label() -> None:
    points = [Point("a rather long name of a file.tflite", 10, 0.5), Point("twin", 10, 0.5), Point("left", 0.1, 0.5)]
    figure = plot_pareto_front(points, "", "", "")
    figure.canvas.draw()
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == ["a rather long name of a file.tflite\ntwin", "left"]
    for text in texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= 900
        assert 0 <= box.y0 < box.y1 <= 520


def test_plot_of_a_single_point() -> None:
    assert drawn_points(plot_pareto_front([Point("alone", 3, 0.0)], "", "", ""))[BLUE] == [[3, 0]]
