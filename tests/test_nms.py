from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd.nms import nms

# Small whole numbers: no IoU of such boxes rounds to the other side of the thresholds below.
small_box = st.tuples(*[st.integers(0, 6)] * 4)
score = st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])


def slow_iou(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [max(0, box[2] - box[0]) * max(0, box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0


def slow_nms(boxes: list[tuple[int, ...]], scores: list[float], threshold: float, classes: list[int]) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        rivals = [j for j in kept if classes[j] == classes[i]]
        if all(slow_iou(boxes[i], boxes[j]) <= threshold for j in rivals):
            kept.append(i)
    return kept


def test_by_hand() -> None:
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]]
    assert nms(boxes, [0.8, 0.9, 0.5]).tolist() == [1, 2]


def test_an_iou_equal_to_the_threshold_stays() -> None:
    # Unit squares in a row of two: the long box has IoU exactly 1/2 with the short one.
    boxes = [[0, 0, 2, 1], [0, 0, 1, 1]]
    assert nms(boxes, [0.9, 0.8], iou_threshold=0.5).tolist() == [0, 1]
    assert nms(boxes, [0.9, 0.8], iou_threshold=0.499).tolist() == [0]


def test_equal_scores_keep_the_lower_index() -> None:
    same = [[0, 0, 1, 1]] * 3
    assert nms(same, [0.5, 0.5, 0.5]).tolist() == [0]
    apart = [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]]
    assert nms(apart, [0.5, 0.5, 0.5]).tolist() == [0, 1, 2]


def test_classes_do_not_suppress_each_other() -> None:
    same = [[0, 0, 1, 1]] * 3
    assert nms(same, [0.7, 0.8, 0.9], class_ids=[0, 1, 1]).tolist() == [2, 0]


def test_a_suppressed_box_suppresses_nobody() -> None:
    # A chain: each overlaps the next; the middle one goes, and the last one is far from the first.
    boxes = [[0, 0, 10, 1], [4, 0, 14, 1], [8, 0, 18, 1]]
    assert nms(boxes, [0.9, 0.8, 0.7], iou_threshold=0.3).tolist() == [0, 2]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 9])
def test_max_detections(most: int) -> None:
    apart = [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]]
    assert nms(apart, [0.3, 0.9, 0.5], max_detections=most).tolist() == [1, 2, 0][:most]


def test_nothing_in_nothing_out() -> None:
    kept = nms(np.zeros((0, 4)), [])
    assert kept.shape == (0,)
    assert kept.dtype == np.intp


@given(st.lists(st.tuples(small_box, score, st.integers(0, 2)), max_size=12), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(deadline=None)
def test_it_is_the_slow_one(rows: list[tuple[tuple[int, ...], float, int]], threshold: float) -> None:
    boxes, scores, classes = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    array = np.array(boxes, np.float32).reshape(-1, 4)
    assert nms(array, scores, threshold, classes).tolist() == slow_nms(boxes, scores, threshold, classes)
    assert nms(array, scores, threshold).tolist() == slow_nms(boxes, scores, threshold, [0] * len(rows))
