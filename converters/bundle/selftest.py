"""The picture that a bundle carries to prove itself on another machine, and what must be found in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_ssd.network import Network
from edge_ssd.runtime.bundle import SelfTest
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.preprocess import ImageArray, preprocess, read_image

__all__ = ["choose_selftest", "placeholder_selftest"]

# A machine may give scores a little off; a test whose scores all lie near the threshold would prove nothing.
_MARGIN = 0.1


def choose_selftest(bundle: Path, pictures: Sequence[Path]) -> SelfTest:
    """Detect in every picture with the bundle's own thresholds and keep the one with the surest detection.

    Where nothing is found with certainty (a network that has learned little) the threshold is lowered to half of the
    best score there is, so that the test still has something to compare.
    """
    with Detector(bundle) as detector:
        usual = detector.min_score_threshold
    with Detector(bundle, score_threshold=0.0, max_detections=1) as detector:
        images = [_input(detector, path) for path in pictures]
        best = [_top_score(detector.detect(image)) for image in images]
    chosen = int(np.argmax(best))
    threshold = usual if best[chosen] >= min(usual + _MARGIN, 1.0) else best[chosen] / 2
    with Detector(bundle, score_threshold=threshold) as detector:
        found = detector.detect(images[chosen])
    return SelfTest(images[chosen], found, threshold)


def placeholder_selftest(network: Network, score_threshold: float) -> SelfTest:
    """A black picture in which nothing is expected, for a bundle that is not finished."""
    size = network.input.size
    return SelfTest(np.zeros((*size, 3), np.uint8), Detections.empty(size), score_threshold)


def _input(detector: Detector, path: Path) -> ImageArray:
    return preprocess(read_image(path), detector.network.input)[0]


def _top_score(detections: Detections) -> float:
    return float(detections.confidence.max(initial=0.0))
