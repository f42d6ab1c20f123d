"""Detections of one image: the result type of the detector, of evaluation and of the self-test.

Names and idioms are those of the ``supervision`` package: ``detections[detections.confidence > 0.5]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, box_area
from edge_ssd.checks import as_size, require_type
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    import supervision

__all__ = ["Detection", "Detections", "unchecked_detections"]


class Detection(NamedTuple):
    """One detected object.

    Attributes:
        label: name of its class.
        score: probability of the class, 0–1.
        box: (xmin, ymin, xmax, ymax) in pixels of the image.
        class_id: 0-based index of the label; background has no id.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    class_id: int


@dataclass(frozen=True, eq=False)
class Detections:
    """Detected objects of one image; a detector returns them best score first.

    ``len()`` is the number of objects, iteration yields a :class:`Detection` for each. ``detections[index]`` selects
    objects and always returns :class:`Detections` with copies of the arrays. The index is an int (a result of length
    1), a slice, a boolean mask [N], or an integer array or list; anything else raises IndexError.

    Attributes:
        xyxy: float32 [N, 4], boxes in pixels of the image, clipped to it.
        confidence: float32 [N], scores in 0–1.
        class_id: int64 [N], 0-based; background has no id.
        names: the label of each object, of length N.
        image_size: (height, width) of the image in pixels.

    Raises:
        SettingError: a ValueError: values of other types, lengths or shapes.
    """

    xyxy: FloatArray
    confidence: FloatArray
    class_id: npt.NDArray[np.int64]
    names: list[str]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        for name in ("xyxy", "confidence", "class_id"):
            require_type(name, getattr(self, name), np.ndarray)
        require_type("names", self.names, list)
        number = len(self.names)
        shapes = self.xyxy.shape, self.confidence.shape, self.class_id.shape
        if shapes != ((number, 4), (number,), (number,)):
            raise SettingError(f"{number} names need boxes [N, 4], scores [N] and class ids [N], got {shapes}")
        object.__setattr__(self, "image_size", as_size("image_size", self.image_size, 0))

    @classmethod
    def empty(cls, image_size: tuple[int, int] = (0, 0)) -> Detections:
        """Return an empty result for an image of ``image_size`` (height, width)."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), [], image_size)

    @classmethod
    def merge(cls, parts: Iterable[Detections]) -> Detections:
        """Concatenate detections of one image, in the order given; no parts give :meth:`empty`.

        Different image sizes raise SettingError; the size (0, 0) of :meth:`empty` matches every other.
        """
        require_type("parts", parts, Iterable)
        parts = list(parts)
        for part in parts:
            require_type("each part", part, Detections)
        sizes = {part.image_size for part in parts} - {(0, 0)}
        if len(sizes) > 1:
            raise SettingError(f"cannot merge detections of images of different sizes: {sorted(sizes)}")
        empty = cls.empty(*sizes)
        return cls(
            np.concatenate([empty.xyxy, *(part.xyxy for part in parts)]),
            np.concatenate([empty.confidence, *(part.confidence for part in parts)]),
            np.concatenate([empty.class_id, *(part.class_id for part in parts)]),
            [name for part in parts for name in part.names],
            empty.image_size,
        )

    @property
    def area(self) -> FloatArray:
        """float32 [N], areas of the boxes in square pixels."""
        return box_area(self.xyxy)

    def is_empty(self) -> bool:
        """Return whether there are no objects."""
        return not self.names

    def __len__(self) -> int:
        return len(self.names)

    if not TYPE_CHECKING:  # a type checker would take every attribute for one that exists

        def __getattr__(self, name):
            message = f"Detections has no attribute {name!r}"
            if name in Detection._fields:
                message += ", which each object of it has: for found in detections: ..."
            raise AttributeError(message, name=name, obj=self)

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.names, self.confidence.tolist(), self.xyxy.tolist(), self.class_id.tolist(), strict=True)
        for name, score, box, class_id in rows:
            yield Detection(name, score, (box[0], box[1], box[2], box[3]), class_id)

    def __getitem__(self, index: int | slice | Sequence[int] | Sequence[bool] | npt.NDArray[Any]) -> Detections:
        chosen: npt.NDArray[np.intp] = np.atleast_1d(np.arange(len(self))[index])
        if chosen.ndim > 1 or isinstance(index, (tuple, EllipsisType)):
            raise IndexError(f"an index must be an int, a slice, or a mask or integers [N], got {index!r}")
        names = [self.names[i] for i in chosen.tolist()]
        return Detections(self.xyxy[chosen], self.confidence[chosen], self.class_id[chosen], names, self.image_size)

    def scaled(self, image_size: tuple[int, int]) -> Detections:
        """Return the same detections in an image that was resized to ``image_size`` (height, width)."""
        image_size = as_size("image_size", image_size)
        factors = [new / max(old, 1) for new, old in zip(image_size, self.image_size, strict=True)]
        boxes = self.xyxy * np.array(factors[::-1] * 2, np.float32)
        return Detections(boxes, self.confidence, self.class_id, self.names, image_size)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types: image size, and each label, class id, score (4 decimals) and box (pixels, 2 decimals)."""
        height, width = self.image_size
        return {
            "width": width,
            "height": height,
            "detections": [
                {
                    "label": detection.label,
                    "class_id": detection.class_id,
                    "score": round(detection.score, 4),
                    "box": [round(value, 2) for value in detection.box],
                }
                for detection in self
            ],
        }

    def to_supervision(self) -> supervision.Detections:
        """Convert to the type of the package ``supervision``, for its annotators and zones.

        Labels are in ``data["class_name"]``, where the annotators look. Raises SettingError without the package.
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


def unchecked_detections(
    xyxy: FloatArray,
    confidence: FloatArray,
    class_id: npt.NDArray[np.int64],
    names: list[str],
    image_size: tuple[int, int],
) -> Detections:
    """Return :class:`Detections` of valid values without the checks, which take 5 % of post-processing."""
    detections = object.__new__(Detections)
    detections.__dict__.update(xyxy=xyxy, confidence=confidence, class_id=class_id, names=names, image_size=image_size)
    return detections
