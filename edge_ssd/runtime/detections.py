"""What a detector found in one picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    import supervision

__all__ = ["Detection", "Detections"]


class Detection(NamedTuple):
    """One object: its label, its score in 0–1, and its box (xmin, ymin, xmax, ymax) in pixels of the picture."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects found in one picture, best score first; iterating gives :class:`Detection`.

    Attributes:
        xyxy: float32 [N, 4], pixels of the picture that was given, clipped to it.
        confidence: float32 [N], in 0–1.
        class_id: int64 [N], 0-based; background has no id.
        names: the label of each of the N objects.
        image_size: (height, width) of the picture in pixels.
    """

    xyxy: FloatArray
    confidence: FloatArray
    class_id: npt.NDArray[np.int64]
    names: list[str]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        number = len(self.names)
        shapes = self.xyxy.shape, self.confidence.shape, self.class_id.shape
        if shapes != ((number, 4), (number,), (number,)):
            raise ValueError(f"{number} names need boxes [N, 4], scores [N] and class ids [N], got {shapes}")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Detection]:
        for name, score, box in zip(self.names, self.confidence.tolist(), self.xyxy.tolist(), strict=True):
            yield Detection(name, score, (box[0], box[1], box[2], box[3]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: the picture's size, and per object label, class id, score and box (rounded)."""
        height, width = self.image_size
        return {
            "width": width,
            "height": height,
            "detections": [
                {
                    "label": found.label,
                    "class_id": class_id,
                    "score": round(found.score, 4),
                    "box": [round(value, 2) for value in found.box],
                }
                for found, class_id in zip(self, self.class_id.tolist(), strict=True)
            ],
        }

    def to_supervision(self) -> supervision.Detections:
        """The same for the ``supervision`` package (trackers, annotators, zones): arrays are copies, labels are in
        ``data["class_name"]``, where its annotators look for them. :class:`SettingError` where it is not installed.
        """
        try:
            from supervision import Detections as SupervisionDetections
        except ImportError as error:
            raise SettingError(
                f"to_supervision() needs the supervision package ({error}); install it with: pip install supervision"
            ) from None
        return SupervisionDetections(
            xyxy=self.xyxy.copy(),
            confidence=self.confidence.copy(),
            class_id=self.class_id.copy(),
            data={"class_name": np.array(self.names, dtype=str)},
        )
