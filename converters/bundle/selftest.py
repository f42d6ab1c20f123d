"""Choose the self-test of a bundle: an image, and the detections that another machine must reproduce."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_ssd.network import Network
from edge_ssd.runtime.bundle import Bundle, SelfTest
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.preprocess import read_input

__all__ = ["choose_selftest", "placeholder_selftest"]

# Scores differ slightly between machines; detections near the threshold would make a poor test.
_MARGIN = 0.1


def choose_selftest(bundle: Bundle, image_paths: Sequence[Path], default_threshold: float) -> SelfTest:
    """Return, of the images at ``image_paths``, the one with the highest score, and the bundle's detections in it.

    Their minimum score is ``default_threshold``. If the highest score is less than 0.1 above that (a poorly trained
    network, or a high threshold), it is half of the highest score, so that the test has at least one detection.
    """
    with Detector(bundle, score_threshold=0.0, max_detections=1) as detector:
        images = [read_input(path, detector.network.input)[0] for path in image_paths]
        scores = [float(detector.detect(image).confidence.max(initial=0.0)) for image in images]
    best = int(np.argmax(scores))
    threshold = default_threshold if scores[best] >= min(default_threshold + _MARGIN, 1.0) else scores[best] / 2
    with Detector(bundle, score_threshold=threshold) as detector:
        return SelfTest(images[best], detector.detect(images[best]), threshold)


def placeholder_selftest(network: Network, score_threshold: float) -> SelfTest:
    """Return a black image without detections above ``score_threshold``, for a bundle that is not complete."""
    size = network.input.size
    return SelfTest(np.zeros((*size, 3), np.uint8), Detections.empty(size), score_threshold)
