"""What viewers may change while the detector runs: the score threshold and the classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from edge_ssd.errors import SettingError

__all__ = ["Configurable", "apply_settings", "settings_of"]

_KNOWN = ("score_threshold", "classes")


class Configurable(Protocol):
    """What is needed of an :class:`edge_ssd.Detector`."""

    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def min_score_threshold(self) -> float: ...
    @property
    def score_thresholds(self) -> Mapping[str, float]: ...
    def configure(self, score_threshold: Any = ..., *, classes: Any = ...) -> None: ...


def settings_of(detector: Configurable) -> dict[str, Any]:
    """The settings as JSON has them; ``score_threshold`` is the lowest where classes have their own."""
    return {
        "score_threshold": round(detector.min_score_threshold, 4),
        "score_thresholds": {label: round(value, 4) for label, value in detector.score_thresholds.items()},
        "classes": list(detector.classes),
        "labels": list(detector.labels),
    }


def apply_settings(detector: Configurable, body: bytes) -> None:
    """Change what a JSON object names; raises :class:`SettingError`, and changes nothing, when any of it is bad.

    ``score_threshold`` is a number from 0 to 1, for all classes, ``classes`` a list of labels; null stands for the
    model's own threshold and for all classes.
    """
    try:
        wanted = json.loads(body)
    except ValueError:  # Wrong encoding, too.
        raise SettingError("the body must be JSON") from None
    except RecursionError:
        raise SettingError("the body is nested too deeply") from None
    if not isinstance(wanted, dict):
        raise SettingError("the body must be a JSON object")
    unknown = [name for name in wanted if name not in _KNOWN]
    if unknown or not wanted:
        what = f"there is no setting {unknown[0][:40]!r}" if unknown else "there is nothing to change"
        raise SettingError(f"{what}; settings are {', '.join(_KNOWN)}")
    threshold, classes = wanted.get("score_threshold"), wanted.get("classes")
    if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, (int, float))):
        raise SettingError("score_threshold must be a number from 0 to 1")
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise SettingError("classes must be a list of labels")
    detector.configure(**wanted)
