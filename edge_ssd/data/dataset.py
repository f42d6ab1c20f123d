"""What a data set is here: pictures on disk, and for each the boxes and class ids that were labelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.errors import DataError

__all__ = ["Dataset", "Problem", "Sample", "problem_lines"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Something that did not stop loading: the file, and what was found in it and done about it."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture and its boxes. A picture without boxes is background, and as good a sample as any.

    Attributes:
        path: the picture.
        boxes_xyxy: float32 [N, 4], pixels of the picture as it is seen (turned as its EXIF orientation says),
            every box with ``xmin < xmax`` and ``ymin < ymax``. Read-only.
        class_ids: int64 [N], indices of ``Dataset.labels``. Read-only.
        size: (height, width) of the picture as it is seen, where the loader has read it.

    Raises DataError for arrays of other shapes, or boxes that are empty or not finite.
    """

    path: Path
    boxes_xyxy: FloatArray
    class_ids: IntArray
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        boxes = np.array(self.boxes_xyxy, np.float32)
        class_ids = np.array(self.class_ids, np.int64)
        if boxes.size == 0:
            boxes = boxes.reshape(0, 4)
        if boxes.ndim != 2 or boxes.shape[1] != 4 or class_ids.shape != boxes.shape[:1]:
            raise DataError(
                f"{self.path}: boxes must be [N, 4] with N class ids, got {boxes.shape} and {class_ids.shape}"
            )
        if not np.isfinite(boxes).all() or (boxes[:, 2:] <= boxes[:, :2]).any():
            raise DataError(
                f"{self.path}: every box must be finite with xmin < xmax and ymin < ymax, got {boxes.tolist()}"
            )
        if (class_ids < 0).any():
            raise DataError(f"{self.path}: class ids count from 0, got {class_ids.tolist()}")
        # The caller's arrays are copied, so that nobody changes a sample from outside, and frozen for the same reason.
        boxes.flags.writeable = class_ids.flags.writeable = False
        object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "boxes_xyxy", boxes)
        object.__setattr__(self, "class_ids", class_ids)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples whose class ids are indices of ``labels``.

    Attributes:
        root: the folder it was read from.
        labels: class names, each once.
        samples: at least one.
        format: name of the label format, as in ``edge_ssd.data.load.READERS``.
        problems: what was wrong and has been dropped, clipped or guessed.
        notices: what is no fault but good to know: polygons that became boxes, classes left out, a second format.

    Raises DataError where these contradict one another.
    """

    root: Path
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    format: str
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        if not self.samples:
            raise DataError(f"{self.root}: no usable picture in it")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise DataError(f"{self.root}: labels must be different names, at least one; got {list(self.labels)!r}")
        for sample in self.samples:
            if (sample.class_ids >= len(self.labels)).any():
                raise DataError(
                    f"{sample.path}: class id {int(sample.class_ids.max())} where there are {len(self.labels)} labels"
                )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def num_boxes(self) -> int:
        return sum(len(sample.boxes_xyxy) for sample in self.samples)

    def with_samples(self, samples: tuple[Sample, ...]) -> Dataset:
        """The same data set holding ``samples`` instead."""
        return dataclasses.replace(self, samples=samples)


def problem_lines(
    problems: Sequence[Problem], remedy: str = "'edge-ssd data inspect' with --json lists all", limit: int = 20
) -> list[str]:
    """The first ``limit`` problems, a line each, and how many more there are; ``remedy`` says how to see them."""
    lines = [str(problem) for problem in problems[:limit]]
    if len(problems) > limit:
        lines.append(f"and {len(problems) - limit} more ({remedy})")
    return lines
