"""Validated settings of a detector: thresholds, classes, number of detections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import Any, NamedTuple

from edge_ssd.checks import as_flag, as_fraction, as_integer, shortened
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


class _Choices(NamedTuple):
    """What was chosen, so that it can be applied to another model; None stands for the model's default.

    Attributes:
        thresholds: those of single labels, in place of ``score_threshold``.
    """

    score_threshold: float | None = None
    thresholds: Mapping[str, float | None] = {}
    iou_threshold: float | None = None
    max_detections: int | None = None
    classes: tuple[str, ...] | None = None
    class_agnostic: bool = False


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
    classes: tuple[int, ...] | None
    class_agnostic: bool
    choices: _Choices

    @classmethod
    def from_metadata(cls, details: Metadata) -> Settings:
        """Return the default settings of a model."""
        return _apply(_Choices(), details)

    def for_model(self, details: Metadata) -> Settings:
        """Return the same choices for another model; raise SettingError if it lacks a class that they name."""
        return _apply(self.choices, details)

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
        labels = details.network.labels
        change: dict[str, Any] = {}
        if isinstance(score_threshold, Mapping):
            change["thresholds"] = {**self.choices.thresholds, **_thresholds(score_threshold, labels)}
        elif score_threshold is not ...:
            change |= {"score_threshold": _fraction("score_threshold", score_threshold), "thresholds": {}}
        if iou_threshold is not ...:
            change["iou_threshold"] = _fraction("iou_threshold", iou_threshold)
        if max_detections is not ...:
            change["max_detections"] = _count("max_detections", max_detections)
        if classes is not ...:
            change["classes"] = None if classes is None else _class_names(classes, labels)
        if class_agnostic is not ...:
            change["class_agnostic"] = as_flag("class_agnostic", class_agnostic)
        return _apply(self.choices._replace(**change), details)


def _apply(choices: _Choices, details: Metadata) -> Settings:
    labels, defaults = details.network.labels, details.defaults
    own = _thresholds(choices.thresholds, labels)
    thresholds = (own.get(label, choices.score_threshold) for label in labels)
    classes = None if choices.classes is None else _class_names(choices.classes, labels)
    return Settings(
        tuple(defaults.score_threshold if value is None else value for value in thresholds),
        defaults.iou_threshold if choices.iou_threshold is None else choices.iou_threshold,
        defaults.max_detections if choices.max_detections is None else choices.max_detections,
        None if classes is None else tuple(map(labels.index, classes)),
        choices.class_agnostic,
        choices,
    )


def _thresholds(given: Mapping[str, float | None], labels: tuple[str, ...]) -> dict[str, float | None]:
    """Return the thresholds of single labels, checked."""
    unknown = [name for name in given if name not in labels]
    if unknown:
        raise SettingError(
            f"score_threshold: the model has no class {_listed(map(shortened, unknown))}; "
            f"its labels are {_listed(labels)}"
        )
    return {label: _fraction(f"score_threshold of {label!r}", value) for label, value in given.items()}


def _fraction(name: str, value: float | None) -> float | None:
    return None if value is None else as_fraction(name, value)


def _count(name: str, value: int | None) -> int | None:
    return None if value is None else as_integer(name, value, 1)


def _class_names(classes: Iterable[str], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels of the model that ``classes`` names."""
    if not isinstance(classes, Iterable) or isinstance(classes, (bytes, bytearray)):
        raise SettingError(
            f"classes must be labels of the model, got {shortened(classes)}; they are {', '.join(labels)}"
        )
    names = [classes] if isinstance(classes, str) else list(classes)
    found = [find_label(name, labels) if isinstance(name, str) else None for name in names]
    unknown = [name for name, label in zip(names, found, strict=True) if label is None]
    if unknown or not names:
        what = f"has no class {_listed(map(shortened, unknown))}" if unknown else "needs at least one class to detect"
        raise SettingError(f"the model {what}; its labels are {_listed(labels)}")
    return tuple(dict.fromkeys(label for label in found if label is not None))


def _listed(names: Iterable[str]) -> str:
    """Return names separated by commas, the first ones only if there are many."""
    rows = list(names)
    more = len(rows) - _MAX_LISTED
    return ", ".join(rows[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
