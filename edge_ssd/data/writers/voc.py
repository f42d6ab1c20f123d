"""Pascal VOC.

    Annotations/0.xml        labels of an image
    JPEGImages/0.jpg         all images
    ImageSets/Main/train.txt, ImageSets/Main/val.txt …    names of a split's images, without suffixes

Source: The PASCAL Visual Object Classes Challenge 2012 Development Kit, section 4. Box sides are written as they are,
with decimals where they have some. The format states no order of the classes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from xml.sax.saxutils import escape

from edge_ssd.data.writers.dataset_writer import NamedSample
from edge_ssd.data.writers.plain_numbers import plain_number
from edge_ssd.errors import DataError

__all__ = ["LABELS_BY_STEM", "image_folder", "write_labels"]

_log = logging.getLogger(__name__)

LABELS_BY_STEM = True

_IMAGE_FOLDER = "JPEGImages"
# What XML 1.0 cannot hold, not even escaped.
_INVALID = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def image_folder(split: str) -> str:
    """Return "JPEGImages", whatever the split."""
    return _IMAGE_FOLDER


def write_labels(root: Path, labels: Sequence[str], splits: Mapping[str, Sequence[NamedSample]]) -> None:
    """Write an XML file for each image and a list for each split; raise DataError for a name that XML cannot hold."""
    for label in labels:
        if _INVALID.search(label):
            raise DataError(f"class {label!r}: Pascal VOC cannot hold this name: rename it with --classes")
    used = {
        labels[index] for images in splits.values() for image in images for index in image.sample.class_ids.tolist()
    }
    if (order := sorted(used)) != list(labels):
        _log.info("Pascal VOC states no order of the classes: they will be read as %s", ", ".join(order) or "none")
    folder = root / "Annotations"
    folder.mkdir()
    for split, images in splits.items():
        stems = [PurePath(image.name).stem for image in images]
        for image, stem in zip(images, stems, strict=True):
            (folder / f"{stem}.xml").write_text(_annotation(image, labels), encoding="utf-8")
        if split:
            path = root / "ImageSets" / "Main" / f"{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")


def _annotation(image: NamedSample, labels: Sequence[str]) -> str:
    height, width = image.size
    objects = "".join(
        f"  <object>\n    <name>{_text(labels[class_id])}</name>\n    <pose>Unspecified</pose>\n"
        "    <truncated>0</truncated>\n    <difficult>0</difficult>\n    <bndbox>"
        + "".join(
            f"<{side}>{plain_number(number)}</{side}>"
            for side, number in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "</bndbox>\n  </object>\n"
        for box, class_id in zip(image.sample.boxes_xyxy.tolist(), image.sample.class_ids.tolist(), strict=True)
    )
    return (
        f"<annotation>\n  <folder>{_IMAGE_FOLDER}</folder>\n  <filename>{_text(image.name)}</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        f"  <segmented>0</segmented>\n{objects}</annotation>\n"
    )


def _text(text: str) -> str:
    return escape(text, {"\r": "&#13;"})  # as it is, a parser would turn it into a line feed
