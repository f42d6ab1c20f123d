"""Results, events and channels for tests, made by hand."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

import numpy as np

from device_apps.events.emitter import Event
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame
from edge_ssd.runtime.detections import Detections

Box = tuple[float, float, float, float]
LABELS = ("banana", "apple")


def detections(*found: tuple[int, Box], size: tuple[int, int] = (100, 200)) -> Detections:
    """Detections of (class id, box in pixels) in a picture of ``size`` (height, width), all with score 0.75."""
    number = len(found)
    return Detections(
        np.array([box for _, box in found], np.float32).reshape(number, 4),
        np.full(number, 0.75, np.float32),
        np.array([class_id for class_id, _ in found], np.int64),
        [LABELS[class_id] for class_id, _ in found],
        size,
    )


def result(at: float, sequence: int, *found: tuple[int, Box], size: tuple[int, int] = (100, 200)) -> FrameResult:
    """What the loop gives for a frame of time ``at``: a grey picture with these detections."""
    image = np.full((*size, 3), 90, np.uint8)
    return FrameResult(Frame(image, sequence, at, "camera 0"), detections(*found, size=size), {})


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


class ListChannel:
    """Keeps what it is given."""

    name = "list"
    lost = 0

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failure: BrokenPipeError | None = None
        self.closed_by: float | None = None

    def publish(self, event: Event) -> None:
        self.events.append(event)

    def close(self, deadline: float) -> None:
        self.closed_by = deadline

    def brief(self) -> list[tuple[str, int, str]]:
        return [(event.kind, event.object_id, event.label) for event in self.events]


class Notices:
    """Keeps what a person would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines.append(line)


def soon(condition: Any, seconds: float = 30.0) -> None:
    """Wait until ``condition()`` holds; fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.01)
