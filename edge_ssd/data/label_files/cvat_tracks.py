"""Tracks in "CVAT for video 1.1": the shapes of an object in the frames of a video.

    <track id="0" label="car"><box frame="0" outside="0" xtl=…/><box frame="1" outside="1" …/></track>

Frames are images called ``frame_000000``, as CVAT exports them. Frames between two shapes of a track have a shape
between them, as in CVAT itself, which writes all of them.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.cvat_shapes import SHAPES_WITHOUT_AREA, bounding_box
from edge_ssd.data.label_files.shapes import Box
from edge_ssd.errors import DataError

__all__ = ["FRAME", "Tracks"]

FRAME = re.compile(r"frame_(\d{6,})", re.IGNORECASE)
"""Name of the image of a frame, without the suffix."""


@dataclass(frozen=True)
class _Shape:
    """The box of a track in a frame."""

    frame: int
    box_xyxy: Box
    enclosing: bool
    location: str


class Tracks:
    """The objects of a video, by frame.

    Attributes:
        notices: what :meth:`annotate` did not use.
    """

    def __init__(self) -> None:
        self.notices: list[Problem] = []
        self._boxes: dict[int, list[tuple[str, BoxAnnotation]]] = defaultdict(list)
        self._faults: dict[int, str] = {}
        self._without_area: set[int] = set()
        self._gaps: list[tuple[str, _Shape, _Shape]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, track: ElementTree.Element) -> int:
        """Add a ``<track>``; return the number of its shapes that have no box. A shape without a frame: ValueError."""
        self._count += 1
        name = (track.get("label") or "").strip()
        location = f"track {track.get('id', self._count)} ({name})"
        ignored = 0
        last: _Shape | None = None
        for shape in track:
            if shape.get("frame") is None:
                continue
            frame = int(shape.get("frame") or "")
            if shape.get("outside") == "1":
                last = None
                continue
            if shape.tag in SHAPES_WITHOUT_AREA:
                self._without_area.add(frame)
                ignored += 1
                continue
            try:
                box, enclosing = bounding_box(shape)
            except ValueError:
                self._faults.setdefault(frame, f"{location} has no box that can be read in frame {frame}")
                last = None
                continue
            if not name:
                self._faults.setdefault(frame, f"{location} has no label")
            if last is not None and frame > last.frame + 1:
                self._gaps.append((name, last, _Shape(frame, box, enclosing, location)))
            self._boxes[frame].append((name, BoxAnnotation(0, box, location, enclosing)))
            last = _Shape(frame, box, enclosing, location)
        return ignored

    def annotate(self, tree: FileTree, path: Path) -> list[tuple[ImageAnnotations, list[tuple[str, BoxAnnotation]]]]:
        """Return the frames that are images in the folder, and their (class name, box); others are counted.

        Raises:
            DataError: no frame is there.
        """
        frames = {image: int(match[1]) for image in tree.images() if (match := FRAME.fullmatch(image.stem))}
        near = {image: frame for image, frame in frames.items() if image.is_relative_to(path.parent)} or frames
        if not near:
            raise DataError(
                f"{path}: it labels frames of a video, which are not in the folder: export the task from CVAT with "
                '"Save images", or as "CVAT for images 1.1"'
            )
        self._fill_gaps(sorted(near.values()))
        absent = {*self._boxes, *self._faults} - set(near.values())
        if absent:
            message = f"{len(absent)} labeled frames are not in the folder, such as frame_{min(absent):06d}; not used"
            self.notices.append(Problem(path, message))
        return [
            (ImageAnnotations(path, image.name, path=image, fault=self._faults.get(frame, "")), self._boxes[frame])
            for image, frame in near.items()
            if self._boxes[frame] or frame in self._faults or frame not in self._without_area
        ]

    def _fill_gaps(self, frames: Sequence[int]) -> None:
        """Add the boxes between two shapes of a track, for the frames that exist, in ascending order."""
        for name, first, second in self._gaps:
            for frame in frames[bisect_left(frames, first.frame + 1) : bisect_left(frames, second.frame)]:
                share = (frame - first.frame) / (second.frame - first.frame)
                xmin, ymin, xmax, ymax = (
                    start + share * (end - start) for start, end in zip(first.box_xyxy, second.box_xyxy, strict=True)
                )
                enclosing = first.enclosing or second.enclosing
                self._boxes[frame].append((name, BoxAnnotation(0, (xmin, ymin, xmax, ymax), first.location, enclosing)))
