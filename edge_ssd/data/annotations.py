"""Content of label files, before the images are found and the boxes are checked.

A label format's ``parse`` returns a :class:`ParsedDataset`. Finding the images (:mod:`edge_ssd.data.locate_images`) and
checking the boxes (:mod:`edge_ssd.data.check_annotations`) is common to all formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_ssd.data.dataset import Problem

__all__ = ["BoxAnnotation", "ImageAnnotations", "ParsedDataset"]


@dataclass(frozen=True, slots=True)
class BoxAnnotation:
    """One labeled object, as stated in a label file.

    Attributes:
        class_index: index of ``ParsedDataset.class_names``.
        box_xyxy: unchecked corners in pixels, or in 0–1 of the image with ``ImageAnnotations.normalized``.
        location: where in the label file, such as "line 12".
        enclosing: whether the object was labeled as a polygon, a mask or a rotated box, which the box encloses.
    """

    class_index: int
    box_xyxy: tuple[float, float, float, float]
    location: str
    enclosing: bool = False


@dataclass(frozen=True, slots=True)
class ImageAnnotations:
    """One labeled image, as stated in a label file.

    Attributes:
        file_name: the image's file name or path, as stated; any suffix fits if it has none.
        split: "train", "val" or "test" as stated by a label file or list; "" if at most the folders state it.
        path: the image file, where the format knows it; else it is found by the other attributes.
        stem: the image's name without its suffix, for a format that matches by stem first.
        stated_size: (height, width) as stated, or None.
        normalized: whether boxes are in 0–1 of the image instead of pixels.
        fault: why the image cannot be used, such as an object that cannot be read: without it, the image would be
            trained on as background. "" if there is no fault.
        unstated: what an image without objects lacks, such as "a label file", if nothing states that it is background.
    """

    label_file: Path
    file_name: str
    boxes: tuple[BoxAnnotation, ...] = ()
    split: str = ""
    path: Path | None = None
    stem: str | None = None
    stated_size: tuple[int, int] | None = None
    normalized: bool = False
    fault: str = ""
    unstated: str = ""


@dataclass(frozen=True)
class ParsedDataset:
    """Content of all label files of a dataset.

    Attributes:
        class_names: indexed by ``BoxAnnotation.class_index``.
        images: the labeled images of all splits.
        problems: faults of the label files beyond those of single images.
        notices: facts that are no faults, such as polygons converted to boxes.
        unusable: split → why it cannot be used at all.
        has_class_names: False if the files hold bare class ids, for which ``class_names`` is generated.
        label_file_per_image: whether every image has a label file of the same name, up to the suffix.
        box_layout: what the four numbers of a box are in the label files, a key of
            :data:`edge_ssd.data.box_layouts.LAYOUTS`.
        percent: whether the numbers in the label files are in percent of the image, of which ``normalized`` boxes were
            made.
    """

    class_names: tuple[str, ...]
    images: tuple[ImageAnnotations, ...]
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)
    has_class_names: bool = True
    label_file_per_image: bool = False
    box_layout: str = "xyxy"
    percent: bool = False
