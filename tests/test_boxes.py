from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_iou import slow_iou

from edge_ssd.boxes import box_area, box_iou, clip_boxes, cxcywh_to_xyxy, match_greedily, xyxy_to_cxcywh

# Integers up to 2^10: their sums, products and halves are exact in float32.
whole_box = st.tuples(*[st.integers(0, 1024)] * 4)


def test_conversions_by_hand() -> None:
    assert xyxy_to_cxcywh([0, 0, 4, 2]).tolist() == [2, 1, 4, 2]
    assert cxcywh_to_xyxy([2, 1, 4, 2]).tolist() == [0, 0, 4, 2]


@given(st.lists(whole_box, max_size=8))
def test_conversions_are_inverse(boxes: list[tuple[int, ...]]) -> None:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    assert cxcywh_to_xyxy(xyxy_to_cxcywh(array)).tolist() == array.tolist()


def test_area_by_hand() -> None:
    assert box_area([[0, 0, 4, 2], [1, 1, 1, 5], [3, 0, 1, 2]]).tolist() == [8, 0, 0]


def test_iou_by_hand() -> None:
    # Two 2×2 squares that share a unit square; equal boxes; boxes that only touch.
    iou = box_iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2]])
    np.testing.assert_allclose(iou, [[1 / 7, 1, 0]], rtol=1e-6)


def test_iou_of_empty_boxes_is_zero() -> None:
    assert box_iou([[1, 1, 1, 1]], [[1, 1, 1, 1], [0, 0, 2, 2]]).tolist() == [[0, 0]]
    assert box_iou([[3, 3, 1, 1]], [[0, 0, 4, 4]]).tolist() == [[0]]


@given(st.lists(whole_box, max_size=6), st.lists(whole_box, max_size=6))
@settings(deadline=None)
def test_box_iou_equals_reference(boxes1: list[tuple[int, ...]], boxes2: list[tuple[int, ...]]) -> None:
    iou = box_iou(np.array(boxes1).reshape(-1, 4), np.array(boxes2).reshape(-1, 4))
    expected = [[slow_iou(a, b) for b in boxes2] for a in boxes1]
    assert iou.dtype == np.float32
    np.testing.assert_allclose(iou, np.array(expected).reshape(len(boxes1), len(boxes2)), rtol=1e-6)
    double = box_iou(np.array(boxes1).reshape(-1, 4), np.array(boxes2).reshape(-1, 4), np.float64)
    assert double.dtype == np.float64
    assert double.ravel().tolist() == np.ravel(expected).tolist()


def test_match_greedily_takes_the_highest_iou_first() -> None:
    iou = np.array([[0.6, 0.8, 0.0], [0.5, 0.7, 0.4]])
    assert match_greedily(iou, 0.5) == [(0, 1), (1, 0)]
    assert match_greedily(iou, 0.6) == [(0, 1)]
    assert match_greedily(np.ones((2, 2)), 1.0) == [(0, 0), (1, 1)]


def test_clip_boxes_to_width_in_x_and_height_in_y() -> None:
    assert clip_boxes([[-5, -5, 50, 50]], height=10, width=20).tolist() == [[0, 0, 20, 10]]
    assert clip_boxes([[1, 2, 3, 4]], height=10, width=20).tolist() == [[1, 2, 3, 4]]


def test_box_functions_accept_no_boxes() -> None:
    nothing = np.zeros((0, 4))
    for result in (xyxy_to_cxcywh(nothing), cxcywh_to_xyxy(nothing), clip_boxes(nothing, 1, 1)):
        assert result.shape == (0, 4)
        assert result.dtype == np.float32
    assert box_area(nothing).shape == (0,)
    assert box_iou(nothing, [[0, 0, 1, 1]]).shape == (0, 1)


def test_box_functions_do_not_modify_arguments() -> None:
    boxes = np.array([[-1, -1, 3, 3]], np.float32)
    before = boxes.copy()
    clip_boxes(boxes, 2, 2)
    box_iou(boxes, boxes)
    xyxy_to_cxcywh(boxes)
    assert (boxes == before).all()
