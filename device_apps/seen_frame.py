"""What the detector saw in a frame, as it is kept with the frame."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from edge_ssd.console.json_output import json_text
from edge_ssd.runtime.detections import Detections

__all__ = ["SeenFrame", "SeenObject"]

_FORMAT = "edge-ssd frame 1"


class SeenObject(NamedTuple):
    """A detection: the box is (xmin, ymin, xmax, ymax) in pixels of the frame."""

    label: str
    score: float
    box: tuple[float, float, float, float]

    def rounded(self) -> SeenObject:
        """Return it as it is written."""
        left, top, right, bottom = (round(side, 2) for side in self.box)
        return SeenObject(self.label, round(self.score, 4), (left, top, right, bottom))


@dataclass(frozen=True)
class SeenFrame:
    """The detections of a frame, one of which an event is about; written as JSON into the file of the frame.

    Attributes:
        time: when the frame was captured, UTC.
        sequence: number of the frame in its source.
        size: (width, height) in pixels.
        objects: all detections, rounded.
        subject: the one that the event is about.
    """

    time: datetime
    sequence: int
    size: tuple[int, int]
    objects: tuple[SeenObject, ...]
    subject: SeenObject

    @classmethod
    def of(cls, detections: Detections, time: datetime, sequence: int, subject: SeenObject) -> SeenFrame:
        """Return the description of a frame with these detections."""
        height, width = detections.image_size
        objects = tuple(SeenObject(found.label, found.score, found.box).rounded() for found in detections)
        return cls(time, sequence, (width, height), objects, subject.rounded())

    def to_json(self) -> str:
        return json_text(
            {
                "format": _FORMAT,
                "time": self.time.isoformat(timespec="milliseconds"),
                "sequence": self.sequence,
                "size": self.size,
                "subject": self.subject,
                "objects": self.objects,
            }
        )

    @classmethod
    def from_json(cls, text: bytes | str) -> SeenFrame:
        """Parse what :meth:`to_json` returned; raise ValueError for anything else."""
        try:
            content: dict[str, Any] = json.loads(text)
            if content["format"] != _FORMAT:
                raise ValueError("another format")
            width, height = map(int, content["size"])
            return cls(
                datetime.fromisoformat(content["time"]),
                int(content["sequence"]),
                (width, height),
                tuple(map(_object, content["objects"])),
                _object(content["subject"]),
            )
        except (TypeError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from None


def _object(values: Any) -> SeenObject:
    label, score, (left, top, right, bottom) = values
    box = (float(left), float(top), float(right), float(bottom))
    if not isinstance(label, str) or not all(map(math.isfinite, (score, *box))):
        raise ValueError("not a detection")
    return SeenObject(label, float(score), box)
