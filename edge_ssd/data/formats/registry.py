"""The list of label formats."""

from __future__ import annotations

from edge_ssd.data.formats import (
    coco,
    createml,
    cvat,
    d2l_csv,
    datumaro,
    dota,
    kitti,
    label_studio,
    labelme,
    open_images,
    tf_csv,
    tfrecord,
    via,
    voc,
    yolo,
    yolo_keras,
)
from edge_ssd.data.formats.label_format import LabelFormat

__all__ = ["LABEL_FORMATS"]

LABEL_FORMATS: dict[str, LabelFormat] = {
    "d2l_csv": d2l_csv,
    "coco": coco,
    "yolo": yolo,
    "voc": voc,
    "tf_csv": tf_csv,
    "createml": createml,
    "datumaro": datumaro,
    "label_studio": label_studio,
    "via": via,
    "labelme": labelme,
    "open_images": open_images,
    "cvat": cvat,
    "kitti": kitti,
    "dota": dota,
    "tfrecord": tfrecord,
    "yolo_keras": yolo_keras,
}
"""Value of ``--format`` → module. Of formats that match a folder equally well, the first one is parsed."""
