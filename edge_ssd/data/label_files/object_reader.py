"""Reading of the labeled objects of many images, with one fault for each image that cannot be used."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.label_files.shapes import Box

__all__ = ["NotAnObject", "ObjectReader", "Shape"]


class Shape(NamedTuple):
    """Class name and box of an object; ``enclosing`` as of ``BoxAnnotation``."""

    label: str
    box_xyxy: Box
    enclosing: bool = False


class NotAnObject(Exception):
    """A label that has no box, such as a point; its argument names the kind."""


class ObjectReader:
    """Numbers the classes of a dataset by their names, and counts the labels that are no objects.

    Args:
        class_names: the classes that the label files state, in their order. Others follow in alphabetical order.
    """

    def __init__(self, class_names: Iterable[str] = ()) -> None:
        self._index_of = {name: index for index, name in enumerate(dict.fromkeys(class_names))}
        self._stated = len(self._index_of)
        self._ignored: Counter[str] = Counter()

    def read(
        self, items: Iterable[Any], parse: Callable[[Any], Shape], noun: str = "object"
    ) -> tuple[tuple[BoxAnnotation, ...], str]:
        """Return the boxes of an image, and its fault or "".

        An image whose labels are all no objects has a fault too: it is no example of background.

        Args:
            items: the labels of the image as stated in a label file.
            parse: returns the shape of a label; raises ValueError if it is invalid, NotAnObject if it is of a kind
                that has no box.
            noun: what the file calls a label, for messages.
        """
        boxes: list[BoxAnnotation] = []
        fault = ignored = ""
        for number, item in enumerate(items, 1):
            try:
                label, box_xyxy, enclosing = parse(item)
            except NotAnObject as error:
                ignored = str(error)
                self._ignored[ignored] += 1
            except ValueError as error:
                fault = fault or f"{noun} {number}: {error}"
            else:
                index = self._index_of.setdefault(label, len(self._index_of))
                boxes.append(BoxAnnotation(index, box_xyxy, f"{noun} {number} ({label})", enclosing))
        if ignored and not boxes:
            fault = fault or f"labeled only with what has no box ({ignored})"
        return tuple(boxes), fault

    def dataset(
        self,
        root: Path,
        images: Sequence[ImageAnnotations],
        problems: Iterable[Problem] = (),
        notices: Iterable[Problem] = (),
        **attributes: Any,
    ) -> ParsedDataset:
        """Return the dataset of images that were read; ``attributes`` are other ones of ``ParsedDataset``."""
        names = list(self._index_of)
        order = [*range(self._stated), *sorted(range(self._stated, len(names)), key=names.__getitem__)]
        if order != list(range(len(names))):
            new_index = {old: new for new, old in enumerate(order)}
            images = [_renumber(image, new_index) for image in images]
        notices = list(notices)
        if self._ignored:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(self._ignored.items()))
            notices.append(Problem(root, f"labels without a box ignored: {kinds}"))
        class_names = tuple(names[index] for index in order)
        return ParsedDataset(class_names, tuple(images), tuple(problems), tuple(notices), **attributes)


def _renumber(image: ImageAnnotations, new_index: dict[int, int]) -> ImageAnnotations:
    boxes = tuple(
        BoxAnnotation(new_index[box.class_index], box.box_xyxy, box.location, box.enclosing) for box in image.boxes
    )
    return dataclasses.replace(image, boxes=boxes)
