"""Detection of a folder's label format.

A new format is a module with ``sniff(folder)`` and ``parse(folder)``, an entry of :data:`LABEL_FORMATS`, and a name in
:data:`edge_ssd.data.source.FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edge_ssd.data.formats import coco, d2l_csv, tf_csv, voc, yolo
from edge_ssd.data.formats.annotations import ParsedDataset
from edge_ssd.data.source import FORMATS, DataSource
from edge_ssd.errors import DataError

__all__ = ["LABEL_FORMATS", "DetectedFormat", "LabelFormat", "detect_format"]


class LabelFormat(NamedTuple):
    """One label format: ``sniff`` tells whether a folder has it, ``parse`` reads its label files."""

    name: str
    sniff: Callable[[Path], bool]
    parse: Callable[[Path], ParsedDataset]


LABEL_FORMATS = (
    LabelFormat("d2l_csv", d2l_csv.sniff, d2l_csv.parse),
    LabelFormat("coco", coco.sniff, coco.parse),
    LabelFormat("yolo", yolo.sniff_yaml, yolo.parse),
    LabelFormat("voc", voc.sniff_splits, voc.parse),
    LabelFormat("tf_csv", tf_csv.sniff, tf_csv.parse),
    LabelFormat("voc", voc.sniff, voc.parse),
    LabelFormat("yolo", yolo.sniff, yolo.parse),
)
"""Formats in order of precedence: explicit descriptions before a mere arrangement of files.

Pascal VOC and YOLO occur twice: with splits they precede TensorFlow's tables, without they follow.
"""


class DetectedFormat(NamedTuple):
    """The format to parse, the folder to parse, and the names of other formats that the dataset could have."""

    label_format: LabelFormat
    folder: Path
    other_formats: tuple[str, ...]


def detect_format(source: DataSource) -> DetectedFormat:
    """Return the label format of a dataset, which lies in ``source.folder`` or in the only folder within it.

    Raises:
        DataError: the folder is missing, empty, unreadable, or has no labels in a known (or the requested) format.
    """
    root = source.folder
    if not root.exists():
        raise DataError(f"{root}: no such folder: check the path, or make one with: edge-ssd data make --to {root}")
    if not root.is_dir():
        raise DataError(f"{root}: a dataset is a folder, this is a file: give the folder that holds it")
    try:
        entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith((".", "__MACOSX")))
        if not entries:
            raise DataError(f"{root}: the folder is empty: give a folder of labeled images")
        subfolders = [entry for entry in entries if entry.is_dir()]
        folders = [root, *subfolders] if len(subfolders) == 1 else [root]
        matches = [
            (label_format, folder)
            for label_format in LABEL_FORMATS
            if source.format in (None, label_format.name)
            for folder in folders
            if label_format.sniff(folder)
        ]
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror or error}): check its permissions") from None
    if matches:
        label_format, folder = matches[0]
        names = dict.fromkeys(other.name for other, _ in matches if other.name != label_format.name)
        return DetectedFormat(label_format, folder, tuple(names))
    if source.format is not None:
        raise DataError(f"{root}: no labels of {FORMATS[source.format]} in it: omit --format to detect the format")
    raise DataError(
        f"{root}: no labels in a known format: expected label.csv with a folder images (the book's), COCO JSON, "
        "YOLO's data.yaml or folders images and labels, Pascal VOC *.xml, or train_labels.csv with a filename column"
    )
