from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ssd.coding import BoxCoding
from edge_ssd.network import tiny_ssd
from edge_ssd.reference_detection import multibox_detection, softmax

ANCHORS = [[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]]


def logits(*probabilities: list[float]) -> np.ndarray:
    return np.log(np.array(probabilities))


def test_softmax_by_hand() -> None:
    np.testing.assert_allclose(softmax([[0, math.log(3)], [1, 1]]), [[0.25, 0.75], [0.5, 0.5]], rtol=1e-6)


@given(st.lists(st.floats(-80, 80), min_size=1, max_size=6))
def test_softmax_equals_reference(values: list[float]) -> None:
    powers = [math.exp(value - max(values)) for value in np.array(values, np.float32).tolist()]
    total = sum(powers)
    np.testing.assert_allclose(softmax(values), [power / total for power in powers], rtol=1e-4, atol=1e-7)


def test_softmax_of_large_logits_is_finite() -> None:
    assert softmax([1000, 0, -1000]).tolist() == [1, 0, 0]


def test_multibox_detection_by_hand() -> None:
    # Anchors 0 and 1 are the same box of the same class: the better one is kept. Anchor 2 is another class.
    scores = logits([0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6])
    rows = multibox_detection(scores, np.zeros((3, 4)), ANCHORS)
    np.testing.assert_allclose(rows, [[0, 0.8, 0, 0, 0.5, 0.5], [1, 0.6, 0.5, 0.5, 1, 1]], atol=1e-6)


def test_multibox_detection_uses_coding() -> None:
    offsets = np.array([[4, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    scores = logits([0.2, 0.8], [0.9, 0.1], [0.9, 0.1])
    rows = multibox_detection(scores, offsets, ANCHORS, coding=BoxCoding(xy_scale=4))
    np.testing.assert_allclose(rows, [[0, 0.8, 0.5, 0, 1, 0.5]], atol=1e-6)


def test_multibox_detection_class_agnostic() -> None:
    scores = logits([0.2, 0.7, 0.1], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05])
    apart = multibox_detection(scores, np.zeros((3, 4)), ANCHORS)
    together = multibox_detection(scores, np.zeros((3, 4)), ANCHORS, class_agnostic=True)
    assert apart[:, 0].tolist() == [0, 1]
    assert together[:, 0].tolist() == [0]


def test_multibox_detection_keeps_score_equal_to_threshold() -> None:
    rows = multibox_detection([[0, 0]], np.zeros((1, 4)), ANCHORS[:1], score_threshold=0.5)
    assert rows[:, 1].tolist() == [0.5]


def test_multibox_detection_keeps_the_best_max_detections() -> None:
    scores = logits([0.4, 0.6], [0.9, 0.1], [0.2, 0.8])
    rows = multibox_detection(scores, np.zeros((3, 4)), ANCHORS, max_detections=1)
    np.testing.assert_allclose(rows[:, 1], [0.8], rtol=1e-6)


def test_multibox_detection_without_candidates_is_empty() -> None:
    rows = multibox_detection(logits([0.9, 0.1]), np.zeros((1, 4)), ANCHORS[:1])
    assert rows.shape == (0, 6)
    assert rows.dtype == np.float32


def test_multibox_detection_equals_book(book_vectors: Path) -> None:
    with np.load(book_vectors) as vectors:
        rows = multibox_detection(
            vectors["detect_binary_logits"],
            vectors["detect_binary_offsets_in"],
            tiny_ssd(["banana"]).anchors(),
            score_threshold=0.3,
            class_agnostic=True,
        )
        expected = vectors["detect_binary_detections"]
    expected = expected[np.argsort(-expected[:, 1], kind="stable")]  # the book's rows are in the order of its anchors
    assert len(rows) == len(expected) > 0
    np.testing.assert_allclose(rows, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_multibox_detection_accepts_extreme_thresholds(threshold: float) -> None:
    rows = multibox_detection([[0, 200], [200, 0], [0, 0]], np.zeros((3, 4)), ANCHORS, score_threshold=threshold)
    assert rows[:, 1].tolist() == ([1.0, 0.5] if threshold == 0 else [1.0])
