"""The score threshold of a bundle: given, chosen, or the default."""

from __future__ import annotations

import numpy as np
import pytest

from converters.config import ConversionConfig
from converters.score_threshold import ThresholdChoice, choose_threshold
from edge_ssd.evaluation.false_alarms import DetectionScores


def scores(
    false_alarms: list[float],
    num_images: int,
    *,
    background: list[float] | None = None,
    num_background: int = 0,
    found: tuple[float, ...] = (0.98, 0.9, 0.7, 0.45),
) -> DetectionScores:
    """Return scores of false alarms in images with objects, and of ``background`` in others; four objects."""
    pairs = sorted([(s, False) for s in false_alarms] + [(s, True) for s in background or []], reverse=True)
    return DetectionScores(
        np.array([score for score, _ in pairs]),
        np.array([empty for _, empty in pairs], bool),
        np.array(found),
        num_images + num_background,
        num_background,
        4,
    )


def chosen(threshold: float) -> tuple[float, str]:
    return threshold, "chosen"


DEFAULT = (0.5, "default")


@pytest.mark.parametrize(
    ("measured", "expected", "part"),
    [
        (scores([], 100), chosen(0.5), "0.5: 0.0 false alarms per 100 images (0 in 100 images with objects; 95 %"),
        (scores([0.614], 100), chosen(0.62), "0.62: 0.0 false alarms"),
        (scores([0.614], 60, background=[], num_background=40), chosen(0.62), "(0 in 60 images with objects, 0 in 40"),
        # Enough images without objects allow less than 0.5, down to 0.3.
        (scores([], 100, background=[0.2], num_background=100), chosen(0.3), "recall 1.00"),
        (scores([], 100, background=[0.4, 0.35], num_background=100), chosen(0.41), "0.41: 0.0"),
        (scores([], 100, background=[0.614], num_background=99), chosen(0.62), "recall 0.75"),
        # The limit also holds for the images without objects alone, although one false alarm may pass in all.
        (scores([], 900, background=[0.8], num_background=100), chosen(0.81), "recall 0.50"),
        (
            scores([0.9], 40),
            DEFAULT,
            "0.5 (default; 40 images are too few to choose one, 99 needed: add images without",
        ),
        (scores([0.961], 100), DEFAULT, "(default; at most 1 per 100 images would take 0.97, with recall 0.25): 1.0"),
        (scores([0.93], 100), DEFAULT, "(default; at most 1 per 100 images would take 0.94, with recall 0.25)"),
        (
            scores([], 100, background=[0.97] * 60, num_background=100),
            DEFAULT,
            "with recall 0.25; it sees objects in images without any: train with such images, train --background DIR):",
        ),
        (scores([0.93], 100, found=(0.95, 0.96)), chosen(0.94), "recall 0.50"),
        (scores([], 100, found=()), DEFAULT, "0.5 (default; no object is found with 0.5): 0.0"),
    ],
)
def test_threshold_follows_the_false_alarms(measured: DetectionScores, expected: tuple[float, str], part: str) -> None:
    choice = choose_threshold(ConversionConfig(), measured)
    assert (choice.threshold, choice.source) == expected
    assert part in choice.describe()
    assert choice.measured is not None
    assert choice.measured.threshold == choice.threshold
    assert choice.to_dict()["false_alarms"] == choice.measured.to_dict()


def test_limit_is_that_of_the_configuration() -> None:
    measured = scores([0.9, 0.8, 0.614], 99)
    assert choose_threshold(ConversionConfig(max_false_alarms=3), measured).threshold == 0.62
    assert choose_threshold(ConversionConfig(max_false_alarms=4), measured).threshold == 0.5
    assert choose_threshold(ConversionConfig(max_false_alarms=0.5), measured).source == "default"


def test_given_threshold_is_kept_and_measured() -> None:
    config = ConversionConfig(score_threshold=0.2)
    choice = choose_threshold(config, scores([0.3], 100))
    assert (choice.threshold, choice.source) == (0.2, "given")
    assert choice.describe().startswith("0.2 (as given): 1.0 false alarms per 100 images")
    assert choose_threshold(config, None).describe() == "0.2 (as given): not measured"


def test_nothing_measured_leaves_the_default() -> None:
    choice = choose_threshold(ConversionConfig(), None)
    assert choice == ThresholdChoice(0.5, "default", "default")
    assert choice.describe() == "0.5 (default): not measured"
    assert choice.to_dict()["false_alarms"] is None
