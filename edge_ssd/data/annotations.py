"""Content of label files, before it is validated against the images.

A label format's ``parse`` returns a :class:`ParsedDataset`. Finding the images and checking the boxes is common to all
formats, see :mod:`edge_ssd.data.check_annotations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ssd.data.dataset import Problem
from edge_ssd.data.image_index import ImageIndex

__all__ = ["BoxAnnotation", "ImageAnnotations", "ParsedDataset", "SplitAnnotations"]


@dataclass(frozen=True)
class BoxAnnotation:
    """One labeled object, as stated in a label file.

    Attributes:
        class_index: index of ``ParsedDataset.class_names``.
        box_xyxy: unchecked corners in pixels, or in 0–1 of the image with ``ImageAnnotations.normalized``.
        location: where in the label file, such as "line 12".
    """

    class_index: int
    box_xyxy: tuple[float, float, float, float]
    location: str


@dataclass(frozen=True)
class ImageAnnotations:
    """One labeled image, as stated in a label file.

    Attributes:
        file_name: the image's file name or path, as stated.
        folders: where the image may be, most likely first.
        stem: the image's name without its suffix, for a format that matches by stem first.
        stated_size: (height, width) as stated, or None.
        normalized: whether boxes are in 0–1 of the image instead of pixels.
    """

    label_file: Path
    file_name: str
    folders: tuple[ImageIndex, ...]
    boxes: tuple[BoxAnnotation, ...]
    stem: str | None = None
    stated_size: tuple[int, int] | None = None
    normalized: bool = False


@dataclass(frozen=True)
class SplitAnnotations:
    """The labeled images of one split.

    Attributes:
        problems: faults of the label files.
        error: why this split cannot be used at all, or None.
        notices: facts that are no faults, such as polygons converted to boxes.
    """

    images: tuple[ImageAnnotations, ...]
    problems: tuple[Problem, ...] = ()
    error: str | None = None
    notices: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ParsedDataset:
    """Content of all label files of a dataset.

    Attributes:
        class_names: indexed by ``BoxAnnotation.class_index``.
        splits: annotations by split ("train", "val", "test"); an undivided dataset has the single key "".
        has_class_names: False if the files hold bare class ids, for which ``class_names`` is generated.
        label_file_per_image: whether every image has a label file of the same name, up to the suffix.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, SplitAnnotations] = field(default_factory=dict)
    has_class_names: bool = True
    label_file_per_image: bool = False
