"""A COCO folder to pre-train on, of the pool's images with their own boxes and the teacher's.

    python tests/benchmarks/pretraining/build_set.py --pool POOL --out SET

Detections with a score of at least --threshold are boxes, unless they lie on a box of the source's own labels. Images
without a box are background, and half of them are left out, as are those where the teacher was in doubt. COCO's own
boxes are complete, so the teacher's are not added to them. The classes are groups of those of COCO, and "package" for
the groceries. Images are hard links to those of the pool where the file system allows it.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from coco_classes import COCO_CLASSES
from pool_index import Box, LabeledImage, read_labeled_images, source_names

__all__ = ["GROUPS", "image_name"]

# Classes that a small network can tell apart, each with enough boxes. Others count as PACKAGE.
GROUPS = {
    group: classes.split()
    for group, classes in {
        "person": "person",
        "vehicle": "bicycle car motorcycle airplane bus train truck boat skateboard",
        "outdoor_thing": "traffic_light fire_hydrant stop_sign bench",
        "bird": "bird kite",
        "pet": "cat dog teddy_bear",
        "animal": "horse sheep cow elephant bear zebra giraffe",
        "bag": "backpack umbrella handbag tie suitcase",
        "sports": "frisbee skis sports_ball baseball_glove surfboard tennis_racket",
        "bottle": "bottle wine_glass vase",
        "cup": "cup bowl",
        "tool": "fork knife spoon scissors remote mouse cell_phone",
        "banana": "banana",
        "apple": "apple",
        "orange": "orange",
        "vegetable": "broccoli carrot",
        "dish": "sandwich hot_dog pizza donut cake",
        "seat": "chair couch toilet",
        "plant": "potted_plant",
        "bed_or_table": "bed dining_table",
        "screen": "tv laptop keyboard",
        "appliance": "microwave oven sink refrigerator",
        "book_or_clock": "book clock",
    }.items()
}
PACKAGE = "package"

# Sources with many images of the same kind.
_MAX_IMAGES = {"grocery_store": 1500, "clothing_train": 700, "facemask": 200, "canteen": 150}
_COMPLETE = ("coco128", "coco_tiny")  # every object of COCO's classes has a box
_MAX_OVERLAP = 0.5  # IoU of a detection with a box of the source's own labels
_MIN_SIDE = 2  # of a box, in pixels
_MIN_SCORE_IN_DOUBT = 0.15
_MIN_BOXES = 15  # of a class before grouping; rarer ones are left out
_EVERY_VALIDATION_IMAGE = 40


class _LabeledBox(NamedTuple):
    label: str
    box_xyxy: Box


class _Chosen(NamedTuple):
    """An image of the set, its number from 1 and its boxes."""

    number: int
    labeled: LabeledImage
    boxes: list[_LabeledBox]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="SET")
    parser.add_argument("--threshold", type=float, default=0.4, help="minimum score of a box (default: %(default)s)")
    args = parser.parse_args()
    chosen = list(choose_images(args.pool, args.threshold))
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    for _, labeled, _ in chosen:
        _link(args.pool / labeled.image.file, args.out / "images" / image_name(labeled.image.file))
    counts = collections.Counter(box.label for image in chosen for box in image.boxes)
    frequent = {label for label, count in counts.items() if count >= _MIN_BOXES}
    for split, labels in coco_labels(chosen, frequent).items():
        (args.out / f"labels_{split}.json").write_text(json.dumps(labels), encoding="utf-8")
        print(f"{split}: {len(labels['images'])} images, {len(labels['annotations'])} boxes")


def choose_images(pool: Path, threshold: float) -> Iterator[_Chosen]:
    """Yield the images of the set, those of each source in random order."""
    generator = random.Random(0)
    number = 0
    for name in source_names(pool):
        images = list(read_labeled_images(pool, name))
        generator.shuffle(images)
        used = 0
        for labeled in images:
            if used >= _MAX_IMAGES.get(name, len(images)):
                break
            boxes = boxes_of(labeled, name, threshold)
            in_doubt = any(_MIN_SCORE_IN_DOUBT <= found.score < threshold for found in labeled.detections)
            if not boxes and (in_doubt or generator.random() < 0.5):
                continue
            used += 1
            number += 1
            yield _Chosen(number, labeled, boxes)


def boxes_of(labeled: LabeledImage, name: str, threshold: float) -> list[_LabeledBox]:
    """Return the boxes of an image: its own, and the teacher's that do not lie on these."""
    own = [_LabeledBox(_full_label(box.label, name), box.box_xyxy) for box in labeled.own or ()]
    added = []
    if labeled.own is None or name not in _COMPLETE:
        detections = (found for found in labeled.detections if found.score >= threshold)
        added = [
            _LabeledBox(COCO_CLASSES[found.class_index], found.box_xyxy)
            for found in detections
            if all(_iou(found.box_xyxy, box.box_xyxy) < _MAX_OVERLAP for box in own)
        ]
    return [box for box in own + added if min(_size(box.box_xyxy)) >= _MIN_SIDE]


def coco_labels(chosen: Iterable[_Chosen], labels: set[str]) -> dict[str, Any]:
    """Return split → content of its COCO file, with the boxes of these labels in groups."""
    groups = [*GROUPS, PACKAGE]
    group_of = {label: group for group, members in GROUPS.items() for label in members}
    categories = [{"id": index, "name": name} for index, name in enumerate(groups, 1)]
    splits: dict[str, Any] = {
        split: {"images": [], "annotations": [], "categories": categories} for split in ("train", "val")
    }
    box_number = 0
    for number, labeled, boxes in chosen:
        image = labeled.image
        part = splits["train" if number % _EVERY_VALIDATION_IMAGE else "val"]
        file_name = image_name(image.file)
        part["images"].append({"id": number, "file_name": file_name, "width": image.width, "height": image.height})
        for label, box in boxes:
            box_number += 1
            x, y = max(0, box[0]), max(0, box[1])
            width, height = min(image.width, box[2]) - x, min(image.height, box[3]) - y
            if min(width, height) < _MIN_SIDE or label not in labels:
                continue
            part["annotations"].append(
                {
                    "id": box_number,
                    "image_id": number,
                    "category_id": 1 + groups.index(group_of.get(label, PACKAGE)),
                    "bbox": [round(value, 1) for value in (x, y, width, height)],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    return splits


def image_name(file: str) -> str:
    """Return the name in the set of an image of the pool."""
    return file.replace("/", "_")


def _full_label(label: str, name: str) -> str:
    return label if label in COCO_CLASSES else f"{name}:{label}"


def _size(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _iou(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0
    (width_1, height_1), (width_2, height_2) = _size(one), _size(other)
    return width * height / (width_1 * height_1 + width_2 * height_2 - width * height)


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
