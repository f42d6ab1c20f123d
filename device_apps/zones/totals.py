"""Totals of zones and lines, and the file that keeps them over restarts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from edge_ssd.errors import DataError

__all__ = ["Totals"]

_Count = TypeVar("_Count", int, list[int])

_MAX_NAMES = 1000  # Zones or lines, also of former configurations.
_MAX_COUNT = 10**15


class Totals:
    """Number of visits of zones, and of crossings of lines in and out, by name and label.

    Names that are no longer configured are kept: they may come back. Of more than a thousand, the one that was counted
    last the longest time ago is forgotten.

    Attributes:
        visits: {zone: {label: number}}.
        crossings: {line: {label: [in, out]}}.
        version: changes with every count.
    """

    def __init__(self) -> None:
        self.visits: dict[str, dict[str, int]] = {}
        self.crossings: dict[str, dict[str, list[int]]] = {}
        self.version = 0

    def add_visit(self, zone: str, label: str) -> None:
        """Count an object that entered a zone."""
        labels = _latest(self.visits, zone)
        labels[label] = labels.get(label, 0) + 1
        self.version += 1

    def add_crossing(self, line: str, label: str, direction: str) -> None:
        """Count a crossing, "in" or "out"."""
        _latest(self.crossings, line).setdefault(label, [0, 0])[direction == "out"] += 1
        self.version += 1

    def to_json(self) -> str:
        """Return the totals as JSON text."""
        return json.dumps({"version": 1, "zones": self.visits, "lines": self.crossings}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Totals:
        """Return the totals that :meth:`to_json` wrote. Raises DataError for any other text."""
        totals = cls()
        try:
            data = json.loads(text)
            if not isinstance(data, dict) or data.get("version") != 1:
                raise DataError("is not a file of counts")
            for zone, labels in _items(data.get("zones")):
                totals.visits[zone] = {label: _number(value) for label, value in _items(labels)}
            for line, labels in _items(data.get("lines")):
                totals.crossings[line] = {label: _pair(value) for label, value in _items(labels)}
        except (ValueError, RecursionError):
            raise DataError("is not valid JSON") from None
        return totals


def _latest(counts: dict[str, dict[str, _Count]], name: str) -> dict[str, _Count]:
    """Return the counts of a name by label, and make it the last of all names."""
    labels = counts.pop(name, {})
    if len(counts) >= _MAX_NAMES:  # More could not be read again.
        del counts[next(iter(counts))]
    counts[name] = labels
    return labels


def _items(value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping) or len(value) > _MAX_NAMES:
        raise DataError("is not a file of counts")
    return list(value.items())


def _pair(value: Any) -> list[int]:
    if not isinstance(value, list) or len(value) != 2:
        raise DataError("is not a file of counts")
    return [_number(item) for item in value]


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_COUNT:
        raise DataError("has a count that is not a whole number from 0")
    return value
