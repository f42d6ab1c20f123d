"""COCO JSON.

    annotations/instances_train.json, annotations/instances_val.json …    labels of a split
    train/0.jpg, val/9.jpg …                                              its images
    annotations/instances.json, images/                                   an undivided dataset

Source: https://cocodataset.org/#format-data. Ids of images, annotations and categories start at 1, as some readers take
0 for "none"; category ids are in the order of the classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_ssd.console.json_output import json_text
from edge_ssd.data.writers.dataset_writer import NamedSample
from edge_ssd.data.writers.plain_numbers import difference, plain_number

__all__ = ["LABELS_BY_STEM", "image_folder", "write_labels"]

LABELS_BY_STEM = False


def image_folder(split: str) -> str:
    """Return "train", or "images" for an undivided dataset."""
    return split or "images"


def write_labels(root: Path, labels: Sequence[str], splits: Mapping[str, Sequence[NamedSample]]) -> None:
    """Write a JSON file for each split, all with all classes."""
    folder = root / "annotations"
    folder.mkdir()
    image_id = annotation_id = 0
    for split, images in splits.items():
        listed: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image in images:
            image_id += 1
            height, width = image.size
            listed.append({"id": image_id, "file_name": image.name, "width": width, "height": height})
            for box, class_id in zip(image.sample.boxes_xyxy.tolist(), image.sample.class_ids.tolist(), strict=True):
                annotation_id += 1
                xmin, ymin, xmax, ymax = box
                bbox = [plain_number(xmin), plain_number(ymin), difference(xmax, xmin), difference(ymax, ymin)]
                annotation = {"id": annotation_id, "image_id": image_id, "category_id": class_id + 1, "bbox": bbox}
                annotations.append({**annotation, "area": bbox[2] * bbox[3], "iscrowd": 0, "segmentation": []})
        content = {
            "info": {},
            "licenses": [],
            "images": listed,
            "annotations": annotations,
            "categories": [{"id": number, "name": label} for number, label in enumerate(labels, 1)],
        }
        name = f"instances_{split}.json" if split else "instances.json"
        (folder / name).write_text(json_text(content) + "\n", encoding="utf-8")
