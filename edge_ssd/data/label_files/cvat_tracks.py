"""Tracks in "CVAT for video 1.1": the shapes of an object in the frames of a video.

    <track id="0" label="car"><box frame="0" outside="0" xtl=…/><box frame="1" outside="1" …/></track>

Frames are images called ``frame_000000``, as CVAT exports them. Frames between two shapes of a track have a shape
between them, as in CVAT itself, which writes all of them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.cvat_shapes import SHAPES_WITHOUT_AREA, bounding_box
from edge_ssd.data.label_files.object_reader import NotAnObject, ObjectReader, Shape
from edge_ssd.data.label_files.xml_file import Element
from edge_ssd.errors import DataError

__all__ = ["FRAME", "Tracks"]

FRAME = re.compile(r"frame_(\d{6,})", re.IGNORECASE)
"""Name of the image of a frame, without the suffix."""


class Tracks:
    """The objects of a video, by frame.

    Attributes:
        notices: what :meth:`annotate` did not use.
    """

    def __init__(self) -> None:
        self.notices: list[Problem] = []
        self._shapes: dict[int, list[Shape | Exception]] = defaultdict(list)  # by frame; an exception for what is none
        self._gaps: list[tuple[int, Shape, int, Shape]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, track: Element) -> None:
        """Add a ``<track>``. A shape without a valid frame raises ValueError."""
        self._count += 1
        name = (track.get("label") or "").strip()
        location = f"track {track.get('id', self._count)} ({name})"
        last: tuple[int, Shape] | None = None
        for element in track:
            if element.get("frame") is None:
                continue
            frame = int(element.get("frame") or "")
            if element.get("outside") == "1":
                last = None
                continue
            if element.tag in SHAPES_WITHOUT_AREA:
                self._shapes[frame].append(NotAnObject(element.tag))
                continue
            try:
                shape = Shape(name, *bounding_box(element), location)
            except ValueError as error:
                reason = f"{location} has no box that can be read in frame {frame} ({error})"
                self._shapes[frame].append(ValueError(reason))
                last = None
                continue
            if last is not None and frame > last[0] + 1:
                self._gaps.append((*last, frame, shape))
            self._shapes[frame].append(shape if name else ValueError(f"{location} has no label"))
            last = frame, shape

    def annotate(self, tree: FileTree, path: Path, reader: ObjectReader) -> list[ImageAnnotations]:
        """Return the frames that are images in the folder; others are counted.

        Raises:
            DataError: no frame is there, or the images count the frames from 1.
        """
        frames = {image: int(match[1]) for image in tree.images() if (match := FRAME.fullmatch(image.stem))}
        near = {image: frame for image, frame in frames.items() if image.is_relative_to(path.parent)} or frames
        if not near:
            raise DataError(
                f"{path}: it labels frames of a video, which are not in the folder: export the task from CVAT with "
                '"Save images", or as "CVAT for images 1.1"'
            )
        numbers = sorted(near.values())
        if numbers[0] == 1 and min(self._shapes, default=1) == 0 and max(self._shapes) < numbers[-1] == len(numbers):
            raise DataError(
                f"{path}: its frames count from 0, the images from frame_{1:06d}: rename them from frame_{0:06d} on"
            )
        self._fill_gaps(numbers)
        absent = self._shapes.keys() - set(near.values())
        if absent:
            fact = count(len(absent), "labeled frame", "is", "are")
            message = f"{fact} not in the folder, such as frame_{min(absent):06d}; not used"
            self.notices.append(Problem(path, message))
        images = []
        for image, frame in near.items():
            boxes, fault = reader.read(self._shapes.get(frame, ()), _get_shape, "object")
            images.append(ImageAnnotations(path, image.name, boxes, path=image, fault=fault))
        return images

    def _fill_gaps(self, frames: Sequence[int]) -> None:
        """Add the boxes between two shapes of a track, for the frames that exist, in ascending order."""
        for start_frame, first, end_frame, second in self._gaps:
            for frame in frames[bisect_left(frames, start_frame + 1) : bisect_left(frames, end_frame)]:
                share = (frame - start_frame) / (end_frame - start_frame)
                xmin, ymin, xmax, ymax = (
                    start + share * (end - start) for start, end in zip(first.box_xyxy, second.box_xyxy, strict=True)
                )
                enclosing = first.enclosing or second.enclosing
                box = (xmin, ymin, xmax, ymax)
                self._shapes[frame].append(first._replace(box_xyxy=box, enclosing=enclosing))


def _get_shape(shape: Shape | Exception) -> Shape:
    if isinstance(shape, Exception):
        raise shape
    return shape
