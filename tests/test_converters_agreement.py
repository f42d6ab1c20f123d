"""Box-by-box comparison of two models, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from converters.verification.agreement import agreement, detection_differences
from edge_ssd.runtime.detections import Detections


def found(*rows) -> Detections:
    """Rows of (x0, y0, x1, y1, score, class id)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    names = [f"class {row[5]}" for row in rows]
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64), names, (100, 100))


BOX = (0, 0, 10, 10, 0.9, 0)


def test_the_same_detections_agree_fully():
    result = agreement([found(BOX)], [found(BOX)], 0.5)
    assert (result.matched, result.only_float, result.only_converted) == (1, 0, 0)
    assert (result.mean_iou, result.low_iou, result.mean_score_drift, result.high_score_drift) == (1, 1, 0, 0)


def test_overlap_and_drift_of_the_pairs():
    before = [found(BOX, (50, 50, 60, 60, 0.8, 0))]
    after = [found((0, 0, 10, 8, 0.8, 0), (50, 50, 60, 60, 0.85, 0))]
    result = agreement(before, after, 0.5)
    assert result.matched == 2
    assert result.mean_iou == pytest.approx((0.8 + 1) / 2)
    assert result.mean_score_drift == pytest.approx((-0.1 + 0.05) / 2)
    assert result.high_score_drift == pytest.approx(np.quantile([0.1, 0.05], 0.95))


def test_a_box_that_only_one_shows_is_counted_once():
    elsewhere, hidden = (50, 50, 60, 60, 0.7, 0), (0, 0, 10, 10, 0.4, 0)
    result = agreement([found(BOX)], [found(hidden, elsewhere)], 0.5)
    # The float box has a partner, but under the threshold; the other model shows a box that has none.
    assert (result.matched, result.only_float, result.only_converted) == (0, 1, 1)
    assert result.mean_iou is None


def test_another_class_is_another_detection():
    result = agreement([found(BOX)], [found((0, 0, 10, 10, 0.9, 1))], 0.5)
    assert (result.matched, result.only_float, result.only_converted) == (0, 1, 1)


def test_nothing_found_by_either():
    result = agreement([found()], [found()], 0.5)
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


def test_disagreement_of_a_picture():
    assert detection_differences(found(BOX), found(BOX), 0.5) == 0
    assert detection_differences(found(BOX), found(), 0.5) == pytest.approx(
        0.5
    )  # half, as only one of the two misses a partner
    assert detection_differences(found(BOX), found((50, 50, 60, 60, 0.9, 0)), 0.5) == pytest.approx(1)
    moved = found((0, 0, 10, 8, 0.7, 0))
    assert detection_differences(found(BOX), moved, 0.5) == pytest.approx(
        0.2 + 0.2
    )  # 1 − IoU, and the scores' difference
