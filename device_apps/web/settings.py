"""Detector settings that viewers may change: score threshold and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device_apps.web.request_body import parse_json
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from edge_ssd.runtime.detector import Detector

__all__ = ["apply_settings", "current_settings"]

_KNOWN = ("score_threshold", "classes")
_MIN_SCORE = 0.1
"""Below it a detector finds objects in noise: some seconds make hundreds of events."""


def current_settings(detector: Detector) -> dict[str, Any]:
    """Return the settings as plain JSON types.

    ``score_threshold`` is the minimum of the per-class thresholds, ``score_threshold_default`` the model's own,
    ``score_threshold_min`` the lowest that :func:`apply_settings` accepts.
    """
    default = detector.bundle.details.defaults.score_threshold
    return {
        "score_threshold": round(detector.min_score_threshold, 4),
        "score_threshold_default": round(default, 4),
        "score_threshold_min": min(_MIN_SCORE, round(default, 4)),
        "score_thresholds": {label: round(value, 4) for label, value in detector.score_thresholds.items()},
        "classes": list(detector.classes),
        "labels": list(detector.labels),
    }


def apply_settings(detector: Detector, body: bytes) -> None:
    """Apply the settings of a JSON object to the detector.

    ``score_threshold`` is from ``score_threshold_min`` to 1, for all classes, or null for the model's own; ``classes``
    is a list of labels, or null for all. Raises SettingError if anything in ``body`` is not valid; nothing is changed
    then.
    """
    settings = parse_json(body)
    if not isinstance(settings, dict):
        raise SettingError("the body must be a JSON object")
    unknown = [name for name in settings if name not in _KNOWN]
    if unknown or not settings:
        problem = f"unknown setting {unknown[0][:40]!r}" if unknown else "no setting is given"
        raise SettingError(f"{problem}; settings are {', '.join(_KNOWN)}")
    threshold, classes = settings.get("score_threshold"), settings.get("classes")
    minimum = current_settings(detector)["score_threshold_min"]
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if threshold is not None and not (number and minimum <= threshold <= 1):
        raise SettingError(f"score_threshold must be a number from {minimum:g} to 1: lower ones find objects in noise")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise SettingError("classes must be a list of labels")
    detector.configure(**settings)
