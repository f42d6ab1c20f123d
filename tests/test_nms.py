from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_iou import slow_iou

from edge_ssd.boxes import box_iou
from edge_ssd.nms import argsort_descending, nms

# Small integers, so that no IoU rounds across the thresholds below.
small_box = st.tuples(*[st.integers(0, 6)] * 4)
score = st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])


def slow_nms(boxes: list[tuple[int, ...]], scores: list[float], threshold: float, classes: list[int]) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        same_class = [j for j in kept if classes[j] == classes[i]]
        if all(slow_iou(boxes[i], boxes[j]) <= threshold for j in same_class):
            kept.append(i)
    return kept


def test_nms_by_hand() -> None:
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30]]
    assert nms(boxes, [0.8, 0.9, 0.5]).tolist() == [1, 2]


def test_nms_keeps_iou_equal_to_threshold() -> None:
    # Two unit squares side by side: the long box has IoU exactly 1/2 with the short one.
    boxes = [[0, 0, 2, 1], [0, 0, 1, 1]]
    assert nms(boxes, [0.9, 0.8], iou_threshold=0.5).tolist() == [0, 1]
    assert nms(boxes, [0.9, 0.8], iou_threshold=0.499).tolist() == [0]


def test_nms_equal_scores_keep_lower_index() -> None:
    same = [[0, 0, 1, 1]] * 3
    assert nms(same, [0.5, 0.5, 0.5]).tolist() == [0]
    apart = [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]]
    assert nms(apart, [0.5, 0.5, 0.5]).tolist() == [0, 1, 2]


def test_nms_classes_do_not_suppress_each_other() -> None:
    same = [[0, 0, 1, 1]] * 3
    assert nms(same, [0.7, 0.8, 0.9], class_ids=[0, 1, 1]).tolist() == [2, 0]


def test_nms_suppressed_box_suppresses_no_other() -> None:
    # A chain: each overlaps the next. The middle box is suppressed, and the last does not overlap the first.
    boxes = [[0, 0, 10, 1], [4, 0, 14, 1], [8, 0, 18, 1]]
    assert nms(boxes, [0.9, 0.8, 0.7], iou_threshold=0.3).tolist() == [0, 2]


@pytest.mark.parametrize("max_detections", [0, 1, 2, 3, 9])
def test_nms_keeps_the_best_max_detections(max_detections: int) -> None:
    apart = [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]]
    assert nms(apart, [0.3, 0.9, 0.5], max_detections=max_detections).tolist() == [1, 2, 0][:max_detections]


def test_nms_of_no_boxes_is_empty() -> None:
    kept = nms(np.zeros((0, 4)), [])
    assert kept.shape == (0,)
    assert kept.dtype == np.intp


def plain_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, classes: np.ndarray | None) -> list[int]:
    """Greedy NMS, one box at a time, with the library's IoU: the bit-exact reference."""
    remaining, kept = np.argsort(-scores, kind="stable"), []
    while remaining.size:
        best, remaining = remaining[0], remaining[1:]
        kept.append(int(best))
        unsuppressed = box_iou(boxes[best], boxes[remaining])[0] <= threshold
        if classes is not None:
            unsuppressed |= classes[remaining] != classes[best]
        remaining = remaining[unsuppressed]
    return kept


def on_x86(*values: float) -> list[Any]:
    """Return parameters that the emulated systems leave out, where the reference takes long."""
    return [pytest.param(value, marks=pytest.mark.machine_independent) for value in values]


# Around the numbers of boxes from which pairs, blocks, chunks and rounds of classes are used.
@pytest.mark.parametrize("number", [1, 2, 31, 32, 33, 127, 128, 129, *on_x86(320, 321, 511, 512, 700, 1500)])
@pytest.mark.parametrize("spread", [0.2, *on_x86(0.02, 3.0)])
def test_nms_equals_reference_for_many_boxes(number: int, spread: float) -> None:
    random = np.random.default_rng(number)
    centers = random.random((5, 2))[random.integers(0, 5, number)] + random.normal(0, spread, (number, 2))
    sizes = random.uniform(0.1, 0.4, (number, 2))
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1).astype(np.float32)
    boxes[::7] = boxes[0]  # duplicates
    boxes[3::31, 2:] = boxes[3::31, :2]  # empty boxes
    boxes[5::37, 2] = boxes[5::37, 0] - 1  # inverted boxes
    scores = np.round(random.random(number), 2).astype(np.float32)  # many ties
    classes = random.integers(0, 3, number)
    for threshold, class_ids in product((0.0, 0.45, 0.7, 1.0), (None, classes)):
        expected = plain_nms(boxes, scores, threshold, class_ids)
        assert nms(boxes, scores, threshold, class_ids).tolist() == expected
        for max_detections in (1, 64, 100, 150):
            assert nms(boxes, scores, threshold, class_ids, max_detections).tolist() == expected[:max_detections]


@pytest.mark.parametrize("classes", [1, 5, 300])
def test_nms_equals_reference_for_clusters_of_many_classes(classes: int) -> None:
    random = np.random.default_rng(classes)
    number = 900
    class_ids = random.integers(0, classes, number)
    centers = random.random((classes, 2))[class_ids] + random.normal(0, 0.02, (number, 2))
    sizes = random.uniform(0.2, 0.4, (number, 2))
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1).astype(np.float32)
    scores = np.round(random.random(number), 3).astype(np.float32)
    expected = plain_nms(boxes, scores, 0.5, class_ids)
    for max_detections in (None, 1, 20, 400):
        assert nms(boxes, scores, 0.5, class_ids, max_detections).tolist() == expected[:max_detections]


def test_nms_tells_large_class_ids_apart() -> None:
    same = [[0, 0, 1, 1]] * 3
    assert nms(same, [0.9, 0.8, 0.7], class_ids=[10**9, 10**9 + 1, 10**9]).tolist() == [0, 1]


@pytest.mark.parametrize("special", [[], [0.0, -0.0], [-1.0, np.inf], [np.nan, -np.nan]])
@pytest.mark.parametrize("number", [0, 3, 2000])
def test_argsort_descending_is_stable(number: int, special: list[float]) -> None:
    random = np.random.default_rng(number)
    scores = np.concatenate([np.round(random.random(number), 2) + 0.01, special]).astype(np.float32)
    random.shuffle(scores)
    numbers, nans = np.flatnonzero(~np.isnan(scores)).tolist(), np.flatnonzero(np.isnan(scores)).tolist()
    expected = sorted(numbers, key=lambda i: -float(scores[i])) + nans
    order = argsort_descending(scores)
    assert order.dtype == np.intp
    assert order.tolist() == expected


def test_nms_does_not_modify_arguments() -> None:
    boxes, scores = np.array([[0, 0, 1, 1], [3, 3, 2, 2]], np.float32), np.array([0.5, 0.6], np.float32)
    boxes.flags.writeable = scores.flags.writeable = False
    assert nms(boxes, scores).tolist() == [1, 0]


@given(st.lists(st.tuples(small_box, score, st.integers(0, 2)), max_size=12), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(deadline=None)
def test_nms_equals_reference_for_few_boxes(rows: list[tuple[tuple[int, ...], float, int]], threshold: float) -> None:
    boxes, scores, classes = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    array = np.array(boxes, np.float32).reshape(-1, 4)
    assert nms(array, scores, threshold, classes).tolist() == slow_nms(boxes, scores, threshold, classes)
    assert nms(array, scores, threshold).tolist() == slow_nms(boxes, scores, threshold, [0] * len(rows))
