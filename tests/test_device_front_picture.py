"""The picture of accuracy against cost, from points whose places are worked out by hand."""

from __future__ import annotations

import pytest

from device_apps.pareto_plot import Point, pareto_front, plot_pareto_front, ticks

BLUE, ORANGE, WHITE = (66, 133, 190), (230, 120, 30), (255, 255, 255)


def test_the_front_is_what_nothing_cheaper_matches() -> None:
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


def test_ticks_are_round_and_few() -> None:
    assert ticks(0, 354) == [0, 100, 200, 300]
    assert ticks(0, 9.66) == [0, 2, 4, 6, 8]
    assert ticks(0.731, 0.8) == pytest.approx([0.74, 0.76, 0.78, 0.8])
    assert ticks(-0.01, 0.012) == pytest.approx([-0.01, -0.005, 0, 0.005, 0.01])


def test_points_stand_at_their_numbers() -> None:
    # Costs go from 0 to 1.15 · 200 over 790 pixels; accuracies from 0.56 to 0.84 over 375 pixels, from the bottom.
    points = [Point("large", 200, 0.8), Point("small", 100, 0.7), Point("worse", 150, 0.6)]
    image = plot_pareto_front(points, "title", "cost", "accuracy")
    assert image.size == (900, 520)
    assert image.getpixel((767, 124)) == BLUE  # 80 + 790 · 200/230, 445 − 375 · 0.24/0.28
    assert image.getpixel((423, 258)) == BLUE  # 80 + 790 · 100/230, 445 − 375 · 0.14/0.28
    assert image.getpixel((595, 391)) == ORANGE  # 80 + 790 · 150/230, 445 − 375 · 0.04/0.28
    assert image.getpixel((509, 224)) == BLUE, "a line joins the front"


def test_names_stand_beside_their_points_and_not_on_each_other() -> None:
    at_the_edge = plot_pareto_front([Point("a rather long name of a file.tflite", 10, 0.5)], "", "", "")
    right = [at_the_edge.getpixel((x, 258)) for x in range(790, 895)]
    left = [at_the_edge.getpixel((x, y)) for x in range(560, 740) for y in range(250, 266)]
    assert set(right) <= {WHITE, (225, 225, 225)}, "nothing is cut off at the right edge"
    assert any(pixel != WHITE for pixel in left)
    one = ink(plot_pareto_front([Point("first", 10, 0.5), Point("second", 5, 0.4)], "", "", ""))
    two = ink(plot_pareto_front([Point("first", 10, 0.5), Point("second", 10, 0.5)], "", "", ""))
    assert two == pytest.approx(one, rel=0.25), "both names are legible where both points are the same"


def ink(image: object) -> int:
    from PIL import Image

    assert isinstance(image, Image.Image)
    upper = image.crop((85, 72, 900, 440))  # without the axes
    return sum(count for count, colour in upper.getcolors(100_000) or [] if colour == (40, 40, 40))


def test_one_point_is_enough() -> None:
    assert plot_pareto_front([Point("alone", 3, 0.0)], "", "", "").getpixel((767, 258)) == BLUE
