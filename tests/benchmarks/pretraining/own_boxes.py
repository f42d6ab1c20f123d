"""Boxes of the sources that have labels of their own, in pixels of the images in the pool.

    python tests/benchmarks/pretraining/own_boxes.py --repositories DIR --pool POOL [--only NAME ...]

Only coco128 (YOLO), coco_tiny (COCO) and groceries_freiburg (Pascal VOC) have some that are trusted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from coco_classes import COCO_CLASSES
from git_folder import GitFolder
from pool_index import Box, OwnBox, PoolImage, read_index, source_names, write_own_boxes
from sources import add_repository_arguments, open_sources

_Boxes = dict[str, list[OwnBox]]  # by file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_repository_arguments(parser)
    parser.add_argument("--pool", type=Path, required=True)
    args = parser.parse_args()
    in_pool = source_names(args.pool)
    args.only = [name for name in READERS if name in in_pool and name in (args.only or READERS)]
    if not args.only:
        sys.exit(f"{args.pool}: none of these sources has boxes of its own")
    for source, repository in open_sources(args):
        images = read_index(args.pool, source.name)
        boxes = READERS[source.name](images, repository)
        write_own_boxes(args.pool, source.name, boxes)
        print(f"{source.name}: {sum(map(len, boxes.values()))} boxes of {len(boxes)} images")


def read_yolo(images: list[PoolImage], repository: GitFolder) -> _Boxes:
    """Read a text file for each image, with class index, center and size of a box a line, in shares of the image."""
    boxes: _Boxes = {}
    for image in images:
        name = Path(_path(image).removeprefix("images/")).with_suffix(".txt")
        content = repository.read_path(f"object_detection/labels/{name.as_posix()}")
        if content is None:
            continue
        boxes[image.file] = []
        for line in content.decode().splitlines():
            index, *values = map(float, line.split()[:5])
            x, y, width, height = values
            corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            sides = (image.width, image.height, image.width, image.height)
            _append(boxes[image.file], COCO_CLASSES[int(index)], _product(corners, sides), image)
    return boxes


def read_coco(images: list[PoolImage], repository: GitFolder) -> _Boxes:
    """Read the two COCO files; crowd regions are left out."""
    by_path: dict[str, list[tuple[str, Box]]] = {}
    for split in ("train2017", "val2017"):
        content = repository.read_path(f"annotations/instances_{split}.json")
        assert content is not None
        labels = json.loads(content)
        names = {category["id"]: category["name"].replace(" ", "_") for category in labels["categories"]}
        paths = {image["id"]: f"{split}/{image['file_name']}" for image in labels["images"]}
        by_path |= {path: [] for path in paths.values()}
        for annotation in labels["annotations"]:
            if not annotation.get("iscrowd") and annotation["image_id"] in paths:
                x, y, width, height = annotation["bbox"]
                row = (names[annotation["category_id"]], (x, y, x + width, y + height))
                by_path[paths[annotation["image_id"]]].append(row)
    boxes: _Boxes = {}
    for image in images:
        if (rows := by_path.get(_path(image))) is not None:
            boxes[image.file] = []
            for label, box in rows:
                _append(boxes[image.file], label, _in_pool(box, image), image)
    return boxes


def read_voc(images: list[PoolImage], repository: GitFolder) -> _Boxes:
    """Read an XML file for each image."""
    boxes: _Boxes = {}
    for image in images:
        path = _path(image).replace("images", "annotations", 1).replace(".png", ".xml")
        content = repository.read_path(path)
        if content is None:
            continue
        boxes[image.file] = []
        for element in ElementTree.fromstring(content).iter("object"):
            xmin, ymin, xmax, ymax = (
                float(element.findtext(f"bndbox/{side}", "nan")) for side in ("xmin", "ymin", "xmax", "ymax")
            )
            label = element.findtext("name", "").strip()
            _append(boxes[image.file], label, _in_pool((xmin, ymin, xmax, ymax), image), image)
    return boxes


READERS: Mapping[str, Callable[[list[PoolImage], GitFolder], _Boxes]] = {
    "coco128": read_yolo,
    "coco_tiny": read_coco,
    "groceries_freiburg": read_voc,
}


def _path(image: PoolImage) -> str:
    return image.origin.partition(":")[2]


def _in_pool(box: Box, image: PoolImage) -> Box:
    """Return a box in pixels of the original in those of the image in the pool."""
    xmin, ymin, xmax, ymax = _product(box, (image.scale,) * 4)
    x, y = image.offset
    return xmin - x, ymin - y, xmax - x, ymax - y


def _product(box: Box, factors: Box) -> Box:
    xmin, ymin, xmax, ymax = (value * factor for value, factor in zip(box, factors, strict=True))
    return xmin, ymin, xmax, ymax


def _append(boxes: list[OwnBox], label: str, box: Box, image: PoolImage) -> None:
    """Append a box, clipped to the image and rounded to a tenth of a pixel, if it is larger than a pixel."""
    xmin, xmax = (max(0, min(value, image.width)) for value in box[::2])
    ymin, ymax = (max(0, min(value, image.height)) for value in box[1::2])
    if xmax - xmin > 1 and ymax - ymin > 1:
        boxes.append(OwnBox(label, (round(xmin, 1), round(ymin, 1), round(xmax, 1), round(ymax, 1))))


if __name__ == "__main__":
    main()
