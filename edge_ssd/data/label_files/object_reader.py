"""Reading of the labeled objects of many images, with one fault for each image that cannot be used.

What is not used of an image's labels is of three kinds:

- An object that cannot be read: its image is dropped, as a fault.
- A label without a box, such as a point: ignored and counted. An image that has nothing else shows objects without a
  box, so it is dropped as a fault.
- A region that is marked to be ignored, see :mod:`edge_ssd.data.label_files.ignored_regions`: ignored and counted. An
  image that has nothing else is left out, which is no fault.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.label_files.ignored_regions import report_ignored_regions
from edge_ssd.data.label_files.shapes import Box

__all__ = ["ONLY_IGNORED", "IgnoredRegion", "NotAnObject", "ObjectReader", "Shape"]

ONLY_IGNORED = "only regions that are marked to be ignored"
"""Fault of an image that is left out because of :class:`IgnoredRegion`; no image of a dataset has it."""


class Shape(NamedTuple):
    """Class name and box of an object.

    Attributes:
        enclosing: as of ``BoxAnnotation``.
        location: where in the label file; "" for the number of the label in its image.
    """

    label: str
    box_xyxy: Box
    enclosing: bool = False
    location: str = ""


class NotAnObject(Exception):
    """A label that has no box, such as a point; its argument names the kind."""


class IgnoredRegion(Exception):
    """A region that is neither an object nor background; its argument names the kind."""


class ObjectReader:
    """Numbers the classes of a dataset by their names, and counts the labels that are no objects.

    Args:
        class_names: the classes that the label files state, in their order. Others follow in alphabetical order.
    """

    def __init__(self, class_names: Iterable[str] = ()) -> None:
        self._index_of: dict[str, int] = {}  # in the order of the first object
        self._stated = list(dict.fromkeys(class_names))
        self._without_box: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()
        self._only_ignored = 0

    @property
    def used_classes(self) -> Collection[str]:
        """Names of the classes that have an object."""
        return self._index_of.keys()

    def state_classes(self, class_names: Iterable[str]) -> None:
        """Add classes that the label files state, where these are known only after the objects."""
        self._stated = list(dict.fromkeys((*self._stated, *class_names)))

    def read(
        self, items: Iterable[Any], parse: Callable[[Any], Shape | None], noun: str = "object"
    ) -> tuple[tuple[BoxAnnotation, ...], str]:
        """Return the boxes of an image, and its fault or "".

        Args:
            items: the labels of the image as stated in a label file.
            parse: returns the shape of a label, or None for what is no label; raises ValueError if it is invalid,
                NotAnObject if it is of a kind that has no box, and IgnoredRegion.
            noun: what the file calls a label, for messages.
        """
        boxes: list[BoxAnnotation] = []
        fault = without_box = ""
        ignored = False
        for number, item in enumerate(items, 1):
            try:
                shape = parse(item)
            except NotAnObject as error:
                without_box = str(error)
                self._without_box[without_box] += 1
            except IgnoredRegion as error:
                ignored = True
                self._ignored[str(error)] += 1
            except ValueError as error:
                fault = fault or f"{noun} {number}: {error}"
            else:
                if shape is not None:
                    label, box_xyxy, enclosing, location = shape
                    index = self._index_of.setdefault(label, len(self._index_of))
                    location = location or f"{noun} {number} ({label})"
                    boxes.append(BoxAnnotation(index, box_xyxy, location, enclosing))
        if not boxes and not fault:
            if without_box:
                fault = f"labeled only with what has no box ({without_box})"
            elif ignored:
                fault = ONLY_IGNORED
                self._only_ignored += 1
        return tuple(boxes), fault

    def dataset(
        self,
        root: Path,
        images: Iterable[ImageAnnotations],
        problems: Iterable[Problem] = (),
        notices: Iterable[Problem] = (),
        **attributes: Any,
    ) -> ParsedDataset:
        """Return the dataset of images that were read; ``attributes`` are other ones of ``ParsedDataset``."""
        class_names = (*self._stated, *sorted(self._index_of.keys() - set(self._stated)))
        new_index_of = {name: index for index, name in enumerate(class_names)}
        order = [new_index_of[name] for name in self._index_of]
        kept = [image for image in images if image.fault != ONLY_IGNORED]
        if order != list(range(len(order))):
            kept = [_renumber(image, order) for image in kept]
        notices = [*notices, *report_ignored_regions(root, self._ignored, self._only_ignored)]
        if self._without_box:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(self._without_box.items()))
            notices.append(Problem(root, f"labels without a box ignored: {kinds}"))
        return ParsedDataset(class_names, tuple(kept), tuple(problems), tuple(notices), **attributes)


def _renumber(image: ImageAnnotations, new_index: Sequence[int]) -> ImageAnnotations:
    boxes = tuple(
        BoxAnnotation(new_index[box.class_index], box.box_xyxy, box.location, box.enclosing) for box in image.boxes
    )
    return dataclasses.replace(image, boxes=boxes)
