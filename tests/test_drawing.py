"""Boxes and labels drawn into images."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_ssd import ImageError, SettingError
from edge_ssd.drawing import class_color, draw_detections
from edge_ssd.runtime.detections import Detections


def detections(
    boxes: list[list[float]], size: tuple[int, int], names: list[str] | None = None, ids: list[int] | None = None
) -> Detections:
    number = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(number, 0.875, np.float32),
        np.array(ids or [0] * number, np.int64),
        names or ["banana"] * number,
        size,
    )


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, np.uint8)


def test_draw_no_detections_returns_an_equal_copy() -> None:
    image = grey(48, 64)
    drawn = draw_detections(image, detections([], (48, 64)))
    assert np.array_equal(drawn, image)
    assert not np.shares_memory(drawn, image)


def test_draw_does_not_change_its_argument() -> None:
    image = grey(240, 320)
    image.flags.writeable = False
    drawn = draw_detections(image, detections([[50, 60, 200, 180]], (240, 320)))
    assert (image == 100).all()
    assert (drawn.dtype, drawn.shape) == (np.uint8, image.shape)
    assert drawn.flags.writeable


def test_encoded_images_are_drawn_into_and_other_arguments_refused() -> None:
    found = detections([[5, 6, 20, 18]], (48, 64))
    file = io.BytesIO()
    Image.fromarray(grey(48, 64)).save(file, "PNG")
    for image in (file, file.getvalue(), Image.fromarray(grey(48, 64))):
        assert np.array_equal(draw_detections(image, found), draw_detections(grey(48, 64), found))
    with pytest.raises(ImageError, match="must be uint8 with values 0 to 255, got float64"):
        draw_detections(np.zeros((4, 4, 3)), found)
    with pytest.raises(SettingError, match="detections must be of type Detections, got None"):
        draw_detections(grey(4, 4), None)  # type: ignore[arg-type]


def test_box_is_drawn_at_its_coordinates_in_its_color() -> None:
    drawn = draw_detections(grey(240, 320), detections([[50, 60, 200, 180]], (240, 320), ids=[3]))
    changed = (drawn != 100).any(axis=2)
    color = class_color(3)
    for y, x in ((120, 50), (120, 200), (180, 120), (60, 190)):
        assert tuple(drawn[y, x]) == color, (y, x)
    assert not changed[62:179, 52:199].any(), "the inside is unchanged"
    assert not changed[182:].any()
    assert not changed[:, 202:].any()
    assert changed[45:60, 50:90].any(), "the label is above the box"


def test_label_is_inside_a_box_at_the_upper_edge() -> None:
    drawn = draw_detections(grey(240, 320), detections([[50, 0, 200, 180]], (240, 320)))
    assert (drawn[3:10, 53:90] != 100).any()


def test_label_at_the_right_edge_is_not_cut() -> None:
    inside = draw_detections(grey(240, 320), detections([[100, 60, 150, 180]], (240, 320)))
    edge = draw_detections(grey(240, 320), detections([[310, 60, 320, 180]], (240, 320)))
    label = (inside[:59] != 100).any(axis=2)
    moved = (edge[:59] != 100).any(axis=2)
    assert label.sum() == moved.sum() > 0


def test_first_detection_is_on_top() -> None:
    two = detections([[50, 60, 200, 180], [50, 60, 200, 180]], (240, 320), ["best", "other"], [0, 1])
    assert tuple(draw_detections(grey(240, 320), two)[120, 50]) == class_color(0)


def test_line_width_and_text_scale_with_the_image() -> None:
    small = draw_detections(grey(240, 320), detections([[50, 60, 200, 180]], (240, 320)))
    large = draw_detections(grey(2400, 3200), detections([[500, 600, 2000, 1800]], (2400, 3200)))
    assert (large[1200, :1000] != 100).any(axis=1).sum() == 10 * (small[120, :100] != 100).any(axis=1).sum()

    def label_height(image: np.ndarray, below: int) -> int:
        return int((image[:below] != 100).any(axis=(1, 2)).sum())

    assert label_height(large, 600) > 5 * label_height(small, 60)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (20, 30), (11, 400), (400, 11), (64, 64)])
def test_tiny_and_narrow_images(size: tuple[int, int]) -> None:
    height, width = size
    drawn = draw_detections(grey(height, width), detections([[0, 0, width, height]], size))
    assert drawn.shape == (height, width, 3)
    assert (drawn != 100).any(), "the box at least is there"


def test_labels_in_any_script() -> None:
    for name in ("Äpfel", "香蕉", "🍌", "a" * 300, "two words"):
        drawn = draw_detections(grey(120, 160), detections([[10, 40, 100, 100]], (120, 160), [name]))
        assert (drawn[:40] != 100).any(), "the score at least is written"


def test_colors_of_neighboring_classes_differ() -> None:
    colours = [class_color(number) for number in range(30)]
    assert len(set(colours)) == 30
    for first, second in pairwise(colours):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 150


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=4))
def test_any_box_in_any_image(height: int, width: int, corners: list[tuple[float, ...]]) -> None:
    scale = np.array([width, height, width, height], np.float32)
    boxes = [(np.array([min(a, c), min(b, d), max(a, c), max(b, d)]) * scale).tolist() for a, b, c, d in corners]
    assert draw_detections(grey(height, width), detections(boxes, (height, width))).shape == (height, width, 3)
