"""The list of dataset writers."""

from __future__ import annotations

from edge_ssd.data.writers import coco, voc, yolo
from edge_ssd.data.writers.dataset_writer import DatasetWriter

__all__ = ["DATASET_WRITERS"]

DATASET_WRITERS: dict[str, DatasetWriter] = {"coco": coco, "yolo": yolo, "voc": voc}
"""Value of ``--to`` → module. The names are those of :data:`edge_ssd.data.formats.registry.LABEL_FORMATS`."""
