"""The images of one COCO JSON file, and the image that an annotation states."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath

from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import path_parts
from edge_ssd.data.label_files.coco_categories import find_shift
from edge_ssd.data.label_files.coco_file import CocoFile, get_id, image_name
from edge_ssd.data.label_files.json_values import get, stated_size
from edge_ssd.errors import DataError

__all__ = ["CocoImages"]

_Entry = tuple[str, tuple[int, int] | None]


class CocoImages:
    """The images of a label file. Several entries with one name and size are one image, with the first one's id.

    Attributes:
        stated: image id → file name, and (height, width) or None.
    """

    def __init__(self, file: CocoFile, problems: list[Problem]) -> None:
        """List the images of a file, and append the faults of its entries to ``problems``.

        Raises DataError if different images have one id.
        """
        self.stated: dict[object, _Entry] = {}
        self._first: dict[object, object] = {}  # the id of each entry → that of the first entry of its image
        self._by_name: dict[str, object] = {}  # a file name, also without folders or suffix → its image's id
        first_of: dict[_Entry, object] = {}
        repeated: Counter[str] = Counter()
        for number, image in enumerate(file.images, 1):
            image_id, name = get_id(image, "id"), image_name(image)
            if image_id is None or not name:
                problems.append(Problem(file.path, f"image {number} has no id or no file_name; dropped"))
                continue
            if image_id in self._first:
                other = self.stated[self._first[image_id]][0]
                if other != name:
                    raise DataError(
                        f"{file.path}: image id {image_id!r} is that of {other!r} and of {name!r}, whose annotations "
                        "cannot be told apart: give each image an id of its own"
                    )
                problems.append(Problem(file.path, f"image {name!r} is listed twice with the id {image_id!r}"))
                continue
            entry = name, stated_size(get(image, "height"), get(image, "width"))
            first = self._first[image_id] = first_of.setdefault(entry, image_id)
            if first == image_id:
                self.stated[image_id] = entry
            else:
                repeated[name] += 1
        for name, count in repeated.items():
            message = f"image {name!r} is listed {count + 1} times: the annotations of all its ids are read together"
            problems.append(Problem(file.path, message, "repeated labels of an image"))

    def refuse_shifted_ids(self, file: CocoFile) -> None:
        """Raise DataError if annotations count the images from another number than the images do."""
        used = {get_id(annotation, "image_id") for annotation in file.annotations or ()} - {None}
        if shift := find_shift(used, self._first):
            raise DataError(
                f"{file.path}: the annotations seem to count the images from {shift[0]}, the images from {shift[1]}: "
                "correct image_id"
            )

    def find(self, annotation: object) -> object:
        """Return the id of an annotation's image, or None; some tools write the image's name in place of its id."""
        image_id = get_id(annotation, "image_id")
        if image_id in self._first:
            return self._first[image_id]
        stated = get(annotation, "image_id")
        if not isinstance(stated, str):
            return None
        if not self._by_name:
            self._by_name = self._index_names()
        return self._by_name.get(stated)

    def _index_names(self) -> dict[str, object]:
        """Return the image id of each name that is that of a single image."""
        found: dict[str, set[object]] = {}
        for image_id, (name, _) in self.stated.items():
            last = (path_parts(name) or (name,))[-1]
            for text in {name, last, PurePath(last).stem}:
                found.setdefault(text, set()).add(image_id)
        return {name: next(iter(ids)) for name, ids in found.items() if len(ids) == 1}
