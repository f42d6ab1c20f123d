"""Validated settings of a detector: thresholds, classes, number of detections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from edge_ssd.checks import as_fraction, as_integer, shortened
from edge_ssd.console.text import find_label
from edge_ssd.errors import SettingError
from edge_ssd.runtime.metadata import Metadata

__all__ = ["ClassesLike", "CountLike", "FlagLike", "FractionLike", "Settings", "ThresholdLike"]

# Types of the arguments: None is the model's default, `...` is unchanged.
ThresholdLike = float | Mapping[str, float] | None | EllipsisType
FractionLike = float | None | EllipsisType
CountLike = int | None | EllipsisType
ClassesLike = Iterable[str] | None | EllipsisType
FlagLike = bool | EllipsisType


_MAX_LISTED = 20


class Settings(NamedTuple):
    """Immutable settings of a detector, so that no thread reads a partial change.

    Attributes:
        score_thresholds: minimum score for each class id.
        iou_threshold, max_detections, class_agnostic: see :class:`~edge_ssd.runtime.detector.Detector`.
        classes: class ids to detect; None for all.
    """

    score_thresholds: tuple[float, ...]
    iou_threshold: float
    max_detections: int
    classes: tuple[int, ...] | None = None
    class_agnostic: bool = False

    @classmethod
    def from_metadata(cls, details: Metadata) -> Settings:
        """Return the default settings of a model."""
        defaults = details.defaults
        return cls(
            (defaults.score_threshold,) * details.network.num_classes, defaults.iou_threshold, defaults.max_detections
        )

    def changed(
        self,
        details: Metadata,
        score_threshold: ThresholdLike = ...,
        iou_threshold: FractionLike = ...,
        max_detections: CountLike = ...,
        classes: ClassesLike = ...,
        class_agnostic: FlagLike = ...,
    ) -> Settings:
        """Return changed settings: ``...`` keeps a value, None restores the default; raise SettingError if invalid."""
        labels, defaults = details.network.labels, details.defaults
        change: dict[str, Any] = {}
        if score_threshold is not ...:
            change["score_thresholds"] = _thresholds(
                score_threshold, defaults.score_threshold, dict(zip(labels, self.score_thresholds, strict=True))
            )
        if iou_threshold is not ...:
            change["iou_threshold"] = _fraction("iou_threshold", iou_threshold, defaults.iou_threshold)
        if max_detections is not ...:
            change["max_detections"] = _count("max_detections", max_detections, defaults.max_detections)
        if classes is not ...:
            change["classes"] = None if classes is None else _class_ids(classes, labels)
        if class_agnostic is not ...:
            change["class_agnostic"] = _flag("class_agnostic", class_agnostic)
        return self._replace(**change)


def _thresholds(
    given: float | Mapping[str, float] | None, default: float, current: Mapping[str, float]
) -> tuple[float, ...]:
    """Return a threshold per label; labels missing in a mapping keep the value of ``current``."""
    if not isinstance(given, Mapping):
        return (_fraction("score_threshold", given, default),) * len(current)
    unknown = [name for name in given if name not in current]
    if unknown:
        raise SettingError(
            f"score_threshold: the model has no class {_listed(map(shortened, unknown))}; "
            f"its labels are {_listed(current)}"
        )
    return tuple(
        _fraction(f"score_threshold of {label!r}", given[label], default) if label in given else value
        for label, value in current.items()
    )


def _fraction(name: str, value: float | None, default: float) -> float:
    return default if value is None else as_fraction(name, value)


def _count(name: str, value: int | None, default: int) -> int:
    return default if value is None else as_integer(name, value, 1)


def _flag(name: str, value: bool) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise SettingError(f"{name} must be True or False, got {shortened(value)}")
    return bool(value)


def _class_ids(classes: Iterable[str], labels: tuple[str, ...]) -> tuple[int, ...]:
    if not isinstance(classes, Iterable):
        raise SettingError(
            f"classes must be labels of the model, got {shortened(classes)}; they are {', '.join(labels)}"
        )
    names = [classes] if isinstance(classes, str) else list(classes)
    found = [find_label(name, labels) if isinstance(name, str) else None for name in names]
    unknown = [name for name, label in zip(names, found, strict=True) if label is None]
    if unknown or not names:
        what = f"has no class {_listed(map(shortened, unknown))}" if unknown else "needs at least one class to detect"
        raise SettingError(f"the model {what}; its labels are {_listed(labels)}")
    return tuple(labels.index(label) for label in found if label is not None)


def _listed(names: Iterable[str]) -> str:
    """Return names separated by commas, the first ones only if there are many."""
    rows = list(names)
    more = len(rows) - _MAX_LISTED
    return ", ".join(rows[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
