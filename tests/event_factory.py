"""Results, events and publishers for tests."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np

from device_apps.events.event import Event
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame
from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.detections import Detections

Box = tuple[float, float, float, float]
LABELS = ("banana", "apple")


def detections(*objects: tuple[int, Box], size: tuple[int, int] = (100, 200), score: float = 0.75) -> Detections:
    """Detections of (class id, box in pixels) in a frame of ``size`` (height, width), all with the same score."""
    number = len(objects)
    return Detections(
        np.array([box for _, box in objects], np.float32).reshape(number, 4),
        np.full(number, score, np.float32),
        np.array([class_id for class_id, _ in objects], np.int64),
        [LABELS[class_id] for class_id, _ in objects],
        size,
    )


def result(
    at: float,
    sequence: int,
    *objects: tuple[int, Box],
    size: tuple[int, int] = (100, 200),
    media_time: float | None = None,
    score: float = 0.75,
) -> FrameResult:
    """The result of a grey frame that was captured ``at`` a time, with these detections."""
    image = np.full((*size, 3), 90, np.uint8)
    return FrameResult(
        Frame(image, sequence, at, "camera 0", time=media_time), detections(*objects, size=size, score=score), {}
    )


def event(number: int, kind: str = "enter", object_id: int = 1, label: str = "banana", **more: Any) -> Event:
    return Event(
        run="12ab",
        number=number,
        kind=kind,  # type: ignore[arg-type]
        object_id=object_id,
        label=label,
        class_id=LABELS.index(label) if label in LABELS else 7,
        score=0.75,
        box=(10.0, 20.0, 30.5, 40.25),
        time=datetime(2026, 11, 24, 12, 0, number % 60, 250_000, timezone.utc),
        source="camera 0",
        sequence=number,
        **more,
    )


class ListPublisher:
    """Publisher that keeps the events in a list."""

    name = "list"
    lost = 0

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failure: BrokenPipeError | EdgeSSDError | None = None
        self.close_deadline: float | None = None

    def publish(self, event: Event) -> None:
        self.events.append(event)

    def close(self, deadline: float) -> None:
        self.close_deadline = deadline

    def summary(self) -> list[tuple[str, int, str]]:
        return [(event.kind, event.object_id, event.label) for event in self.events]
