"""A dataset in memory: image files, each with labeled boxes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.console.counts import count
from edge_ssd.console.text import printable
from edge_ssd.errors import DataError

__all__ = ["Dataset", "Problem", "Sample", "problem_lines"]

IntArray = npt.NDArray[np.int64]

# More problems of a kind than this many are counted, and only so many of them shown.
_MAX_OF_KIND, _SHOWN_OF_KIND = 5, 2

_MAX_LINE = 2000  # characters of a problem that is shown: a label file may state a name of any length


@dataclass(frozen=True)
class Problem:
    """A fault that did not stop loading.

    Attributes:
        path: the file that has it.
        message: the fault and the action taken.
        kind: what it has in common with other problems, as a noun in the plural ("reversed boxes"), or "".
        doubt: of a notice that says how labels are read where they leave it open: the field of
            :class:`~edge_ssd.data.source.DataSource` that settles it, or "files" if only other files do; else "".
    """

    path: Path
    message: str
    kind: str = field(default="", compare=False)
    doubt: str = field(default="", compare=False)

    def __str__(self) -> str:
        line = printable(f"{self.path}: {self.message}")
        half = _MAX_LINE // 2  # The end says what to do.
        return line if len(line) <= _MAX_LINE else f"{line[:half]} … {line[-half:]}"


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One image and its boxes; an image without boxes is a background image.

    Attributes:
        boxes_xyxy: float32 [N, 4] in pixels of the image after rotation by its EXIF orientation, with
            ``xmin < xmax`` and ``ymin < ymax``. A read-only copy.
        class_ids: int64 [N], indices of ``Dataset.labels``. A read-only copy.
        size: (height, width) of the image after rotation; None if it is unknown.

    Raises:
        DataError: the arrays have other shapes, or a box is empty or not finite.
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
            raise DataError(f"{self.path}: class ids must be at least 0, got {class_ids.tolist()}")
        boxes.flags.writeable = class_ids.flags.writeable = False
        if not isinstance(self.path, Path):
            object.__setattr__(self, "path", Path(self.path))
        object.__setattr__(self, "boxes_xyxy", boxes)
        object.__setattr__(self, "class_ids", class_ids)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with their class names.

    Attributes:
        labels: distinct class names, indexed by the class ids.
        format: a key of :data:`edge_ssd.data.formats.registry.LABEL_FORMATS`.
        problems: faults that were dropped, clipped or worked around.
        notices: facts that are no faults, such as polygons converted to boxes, excluded classes, a second format.

    Raises:
        DataError: there is no sample or no label, labels repeat or are no text, or a class id has no label.
    """

    root: Path
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    format: str
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        if not self.samples:
            raise DataError(f"{self.root}: no usable image in it")
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise DataError(f"{self.root}: labels must be different names, at least one; got {list(self.labels)!r}")
        for label in self.labels:
            if len(label.splitlines()) > 1:
                raise DataError(f"{self.root}: class name {label!r} has a line break: correct the label files")
            try:
                label.encode()
            except UnicodeEncodeError:  # JSON can state half of a character
                raise DataError(
                    f"{self.root}: class name {label!r} is not valid text: correct the label files"
                ) from None
        for sample in self.samples:
            highest = sample.class_ids.max(initial=-1)
            if highest >= len(self.labels):
                raise DataError(f"{sample.path}: class id {highest} with only {count(len(self.labels), 'label')}")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def num_boxes(self) -> int:
        return sum(len(sample.boxes_xyxy) for sample in self.samples)

    def with_samples(self, samples: tuple[Sample, ...]) -> Dataset:
        """Return a copy with ``samples`` in place of its own."""
        return dataclasses.replace(self, samples=samples)


def problem_lines(
    problems: Sequence[Problem], hint: str = "'edge-ssd data inspect' with --json lists all", limit: int = 20
) -> list[str]:
    """Return at most ``limit`` problems, one line each, and the numbers of the others; ``hint`` ends the last line.

    Of more than five problems of a kind, two are shown.
    """
    total = Counter(problem.kind for problem in problems if problem.kind)
    shown: Counter[str] = Counter()
    selected: list[Problem] = []
    counted: dict[str, int] = {}  # kind → problems that its line stands for
    for problem in problems:
        kind = problem.kind
        if total[kind] > _MAX_OF_KIND and shown[kind] == _SHOWN_OF_KIND:
            counted[kind] = counted.get(kind, 0) + 1
        else:
            selected.append(problem)
            shown[kind] += 1
    lines = [str(problem) for problem in selected[:limit]]
    others = [f"and {count} more {kind}" for kind, count in counted.items()]
    if len(selected) > limit:
        others.append(f"and {len(selected) - limit} more{' of other kinds' if counted else ''}")
    if others:
        others[-1] += f" ({hint})"
    return lines + others
