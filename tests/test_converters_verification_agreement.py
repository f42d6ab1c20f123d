"""Box-by-box comparison of two models, with expected values calculated by hand."""

from __future__ import annotations

import numpy as np
import pytest

from converters.verification.agreement import compare_detections, detection_difference
from edge_ssd.runtime.detections import Detections


def detections(*rows) -> Detections:
    """Return detections from rows of (x0, y0, x1, y1, score, class id)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    names = [f"class {row[5]}" for row in rows]
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64), names, (100, 100))


BOX = (0, 0, 10, 10, 0.9, 0)


def test_compare_detections_matches_equal_detections():
    result = compare_detections([detections(BOX)], [detections(BOX)], 0.5)
    assert (result.matched, result.only_float, result.only_converted) == (1, 0, 0)
    assert (result.mean_iou, result.low_iou, result.mean_score_drift, result.high_score_drift) == (1, 1, 0, 0)


def test_compare_detections_measures_iou_and_score_drift():
    before = [detections(BOX, (50, 50, 60, 60, 0.8, 0))]
    after = [detections((0, 0, 10, 8, 0.8, 0), (50, 50, 60, 60, 0.85, 0))]
    result = compare_detections(before, after, 0.5)
    assert result.matched == 2
    assert result.mean_iou == pytest.approx((0.8 + 1) / 2)
    assert result.mean_score_drift == pytest.approx((-0.1 + 0.05) / 2)
    assert result.high_score_drift == pytest.approx(np.quantile([0.1, 0.05], 0.95))


def test_compare_detections_counts_unmatched_detection_once():
    elsewhere, below = (50, 50, 60, 60, 0.7, 0), (0, 0, 10, 10, 0.4, 0)
    result = compare_detections([detections(BOX)], [detections(below, elsewhere)], 0.5)
    # The float detection's match is below the threshold; the other detection has no match.
    assert (result.matched, result.only_float, result.only_converted) == (0, 1, 1)
    assert result.mean_iou is None


def test_compare_detections_does_not_match_different_classes():
    result = compare_detections([detections(BOX)], [detections((0, 0, 10, 10, 0.9, 1))], 0.5)
    assert (result.matched, result.only_float, result.only_converted) == (0, 1, 1)


def test_compare_detections_of_empty_images():
    result = compare_detections([detections()], [detections()], 0.5)
    assert result.to_dict() == {
        "score_threshold": 0.5,
        "matched": 0,
        "only_float": 0,
        "only_converted": 0,
        "mean_iou": None,
        "low_iou": None,
        "mean_score_drift": None,
        "high_score_drift": None,
    }


def test_detection_difference_of_equal_missing_and_moved_detections():
    assert detection_difference(detections(BOX), detections(BOX), 0.5) == 0
    # Half: only one of the two models has an unmatched detection.
    assert detection_difference(detections(BOX), detections(), 0.5) == pytest.approx(0.5)
    assert detection_difference(detections(BOX), detections((50, 50, 60, 60, 0.9, 0)), 0.5) == pytest.approx(1)
    moved = detections((0, 0, 10, 8, 0.7, 0))
    # 1 − IoU, plus the score difference.
    assert detection_difference(detections(BOX), moved, 0.5) == pytest.approx(0.2 + 0.2)
