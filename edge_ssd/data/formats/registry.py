"""The list of label formats."""

from __future__ import annotations

from edge_ssd.data.formats import coco, d2l_csv, tf_csv, voc, yolo
from edge_ssd.data.formats.label_format import LabelFormat

__all__ = ["LABEL_FORMATS"]

LABEL_FORMATS: dict[str, LabelFormat] = {
    "d2l_csv": d2l_csv,
    "coco": coco,
    "yolo": yolo,
    "voc": voc,
    "tf_csv": tf_csv,
}
"""Value of ``--format`` → module. Of formats that match a folder equally well, the first one is parsed."""
