"""Comparison of the detections of a self-test with those of the converter's machine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_ssd.boxes import box_iou
from edge_ssd.runtime.detections import Detections

__all__ = ["SelfTestResult", "compare_detections"]

# Tolerance between interpreters and machines, whose int8 outputs differ by a few steps.
_MIN_IOU = 0.9
_SCORE_TOLERANCE = 0.05


class SelfTestResult(NamedTuple):
    """Result of :meth:`Detector.selftest`; ``expected`` and ``found`` are numbers of detections."""

    passed: bool
    expected: int
    found: int
    problem: str
    """The differences in one line; empty when passed."""


def compare_detections(expected: Detections, actual: Detections, threshold: float, backend: str) -> SelfTestResult:
    """Compare all detections, both with scores of at least ``threshold``, as :meth:`Detector.selftest` describes."""
    iou = box_iou(expected.xyxy, actual.xyxy)
    close = np.abs(expected.confidence[:, None] - actual.confidence[None, :]) <= _SCORE_TOLERANCE
    same = (iou >= _MIN_IOU) & close & (expected.class_id[:, None] == actual.class_id[None, :])
    missing = ~same.any(axis=1) & (expected.confidence > threshold + _SCORE_TOLERANCE)
    unexpected = ~same.any(axis=0) & (actual.confidence > threshold + _SCORE_TOLERANCE)
    problem = ""
    if missing.any() or unexpected.any():
        problem = (
            f"{int(missing.sum())} of {len(expected)} expected boxes missing, "
            f"{int(unexpected.sum())} unexpected, with {backend}"
        )
    return SelfTestResult(not problem, len(expected), len(actual), problem)
