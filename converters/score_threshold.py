"""The score threshold that a bundle carries: given, or chosen for few false alarms, or the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from converters.config import DEFAULT_MAX_FALSE_ALARMS, ConversionConfig
from edge_ssd.console.counts import count
from edge_ssd.evaluation.false_alarms import (
    DetectionScores,
    OperatingPoint,
    images_needed,
    lowest_threshold,
    operating_point,
)

__all__ = ["DEFAULT_THRESHOLD", "ThresholdChoice", "choose_threshold"]

DEFAULT_THRESHOLD = 0.5
"""The threshold of a bundle for which none is given or chosen."""

# A lower threshold would show second and inexact boxes of one object, which are no false alarms.
_MIN_THRESHOLD = 0.3
# Scores above hardly differ in int8: a threshold among them depends on rounding.
_MAX_THRESHOLD = 0.95
# A detector that finds less than this share of what it finds at the default threshold is of no use: as a rule its false
# alarms are objects without a label.
_MIN_RECALL_KEPT = 0.5


@dataclass(frozen=True)
class ThresholdChoice:
    """The score threshold of a bundle.

    Attributes:
        source: "given" by the user, "chosen" for the limit of false alarms, or the "default".
        reason: why it is not "chosen", for the text; "" if it is.
        measured: false alarms and recall with it; None if not measured.
    """

    threshold: float
    source: Literal["given", "chosen", "default"]
    reason: str = ""
    measured: OperatingPoint | None = None

    def describe(self) -> str:
        """Return one line: "0.62: 0.9 false alarms per 100 images (…), recall 0.81"."""
        reason = f" ({self.reason})" if self.reason else ""
        measured = "not measured" if self.measured is None else self.measured.describe()
        return f"{self.threshold:g}{reason}: {measured}"

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types."""
        return {
            "score_threshold": self.threshold,
            "source": self.source,
            "reason": self.reason,
            "false_alarms": None if self.measured is None else self.measured.to_dict(),
        }


def choose_threshold(config: ConversionConfig, scores: DetectionScores | None) -> ThresholdChoice:
    """Return the threshold for a bundle whose detections have ``scores``, None if they were not measured.

    It is the lowest one from 0.3 to 0.95 with which at most ``config.max_false_alarms`` per 100 images are to be
    expected, see :func:`~edge_ssd.evaluation.false_alarms.lowest_threshold`: in all images and in those without
    objects, or from 0.5 if these are few. It is the default of 0.5 if all are too few to tell, or if less than half of
    the recall would remain.
    """
    if config.score_threshold is not None:
        measured = None if scores is None else operating_point(scores, config.score_threshold)
        return ThresholdChoice(config.score_threshold, "given", "as given", measured)
    if scores is None:
        return ThresholdChoice(DEFAULT_THRESHOLD, "default", "default")
    limit = DEFAULT_MAX_FALSE_ALARMS if config.max_false_alarms is None else config.max_false_alarms
    default = operating_point(scores, DEFAULT_THRESHOLD)
    threshold = lowest_threshold(scores, limit)
    if threshold is None:
        needed = images_needed(limit)
        reason = (
            f"default; {count(scores.num_images, 'image', 'is', 'are')} too few to choose one, {needed} needed: "
            "add images without objects with --background"
        )
        return ThresholdChoice(DEFAULT_THRESHOLD, "default", reason, default)
    # Images with objects understate the rate: in those of the banana set alone 0.3 would do, with which the shipped
    # detectors raise 1.2 to 1.6 false alarms in 100 photographs without bananas.
    in_background = lowest_threshold(scores.of_background(), limit)
    floor = DEFAULT_THRESHOLD if in_background is None else max(_MIN_THRESHOLD, in_background)
    chosen = operating_point(scores, max(threshold, floor))
    # Without objects nothing was measured, so both have a recall.
    recall, recall_before = chosen.recall or 0.0, default.recall or 0.0
    if not recall and chosen.threshold <= DEFAULT_THRESHOLD:
        reason = f"default; no object is found with {chosen.threshold:g}"
    elif chosen.threshold > _MAX_THRESHOLD or recall < _MIN_RECALL_KEPT * recall_before:
        reason = f"default; at most {limit:g} per 100 images would take {chosen.threshold:g}, with recall {recall:.2f}"
        if 100 * default.in_background > limit * default.num_background:
            reason += "; it sees objects in images without any: train with such images, train --background DIR"
    else:
        return ThresholdChoice(chosen.threshold, "chosen", "", chosen)
    return ThresholdChoice(DEFAULT_THRESHOLD, "default", reason, default)
