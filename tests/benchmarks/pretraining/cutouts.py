"""Photographs of fruit with boxes, and cut-outs of the fruit in them by GrabCut.

    python tests/benchmarks/pretraining/cutouts.py --photos DIR --pool POOL --out FRUIT

--photos has LabelMe files beside photographs NAME.jpg; those of 40, by the hash of their names, are held out for
validation. Photographs of apples, bananas and oranges in the pool's grocery_store are added where the teacher's boxes
agree with the folder. Writes FRUIT/photos.json and FRUIT/cutouts/CLASS_0000.png, with transparency.

Source of GrabCut: C. Rother, V. Kolmogorov and A. Blake, 2004, "GrabCut: Interactive Foreground Extraction using
Iterated Graph Cuts".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from coco_classes import COCO_CLASSES
from pool_index import Box, LabeledImage, PseudoBox, read_labeled_images

__all__ = ["FRUIT", "FruitPhoto", "read_photos"]

FRUIT = ("apple", "banana", "orange")

_GROCERIES = "grocery_store"
_FOLDERS = {"apple": "/Fruit/Apple/", "banana": "/Fruit/Banana/", "orange": "/Fruit/Orange/"}
_NUM_HELD_OUT = 40

# Grocery photographs are taken with few certain detections, all of the folder's kind, one of them large, and at most
# one uncertain detection elsewhere: others show heaps.
_CERTAIN, _UNCERTAIN, _MAX_CERTAIN, _MIN_WIDTH, _ELSEWHERE = 0.35, 0.12, 4, 0.15, 0.4

_MIN_SIDE = 40  # of a box to cut out, in pixels
_MAX_OVERLAP = 0.15  # share of a box that another covers
_MARGIN = 0.2  # of a box's sides around it, for GrabCut to learn the background
_WORKING_SIDE = 256
_ITERATIONS = 4
# Least and greatest share of its box that a fruit fills, and the share that the box of the mask has of it.
_FILLED = {"banana": (0.25, 0.8)}
_FILLED_ROUND = (0.6, 0.86)
_MIN_COVERED = 0.85


@dataclass(frozen=True)
class FruitPhoto:
    """A photograph: its file, size in pixels, boxes (label, xmin, ymin, xmax, ymax), and where it is from.

    ``source`` is "photos" or "groceries"; ``held_out`` images are for validation.
    """

    path: str
    width: int
    height: int
    boxes: tuple[tuple[str, float, float, float, float], ...]
    source: str
    held_out: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FRUIT")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    photos = [*fruit_photos(args.photos), *grocery_photos(args.pool)]
    folder = args.out / "cutouts"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    (args.out / "photos.json").write_text(json.dumps([asdict(photo) for photo in photos]), encoding="utf-8")
    number = 0
    for photo in photos:
        if photo.held_out:
            continue
        for label, cutout in cut_out_all(photo):
            cv2.imwrite(str(folder / f"{label}_{number:04d}.png"), cutout)
            number += 1
    groceries = sum(photo.source == "groceries" for photo in photos)
    print(f"{len(photos) - groceries} photographs, {groceries} of groceries, {number} cut-outs")


def read_photos(fruit: Path) -> list[FruitPhoto]:
    """Return the photographs that were written to FRUIT/photos.json."""
    rows = json.loads((fruit / "photos.json").read_text("utf-8"))
    return [FruitPhoto(**{**row, "boxes": tuple(tuple(box) for box in row["boxes"])}) for row in rows]


def fruit_photos(folder: Path) -> list[FruitPhoto]:
    """Return the photographs of a folder with LabelMe files, by name."""
    names = sorted(path.stem for path in folder.glob("*.json"))
    if not names:
        sys.exit(f"--photos {folder}: has no LabelMe files")
    by_hash = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    held_out = set(by_hash[:_NUM_HELD_OUT])
    photos = []
    for name in names:
        path = folder / f"{name}.jpg"
        image = cv2.imread(str(path))
        if image is None:
            sys.exit(f"{path}: cannot be read")
        height, width = image.shape[:2]
        boxes = []
        for shape in json.loads((folder / f"{name}.json").read_text("utf-8"))["shapes"]:
            (x1, y1), (x2, y2) = shape["points"][:2]
            left, top = max(0, min(x1, x2)), max(0, min(y1, y2))
            boxes.append((shape["label"], left, top, min(width, max(x1, x2)), min(height, max(y1, y2))))
        photos.append(FruitPhoto(str(path), width, height, tuple(boxes), "photos", name in held_out))
    return photos


def grocery_photos(pool: Path) -> list[FruitPhoto]:
    """Return the photographs of groceries that show a few fruits of the kind that their folder states."""
    if not (pool / f"{_GROCERIES}.jsonl").is_file():
        return []
    photos = []
    for labeled in read_labeled_images(pool, _GROCERIES):
        label = next((label for label, part in _FOLDERS.items() if part in labeled.image.origin), None)
        if label is not None and (found := _few_certain(labeled, label)):
            image = labeled.image
            boxes = tuple((label, *detection.box_xyxy) for detection in found)
            photos.append(FruitPhoto(str(pool / image.file), image.width, image.height, boxes, "groceries"))
    return photos


def cut_out_all(photo: FruitPhoto) -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """Yield label and cut-out, uint8 BGRA [H, W, 4], of each fruit of a photograph that GrabCut separates well."""
    image = cv2.imread(photo.path)
    assert image is not None, photo.path
    boxes = [(xmin, ymin, xmax, ymax) for _, xmin, ymin, xmax, ymax in photo.boxes]
    for index, ((label, *_), box) in enumerate(zip(photo.boxes, boxes, strict=True)):
        others = boxes[:index] + boxes[index + 1 :]
        if label not in FRUIT or min(_sides(box)) < _MIN_SIDE or _in_heap(box, others):
            continue
        cutout = cut_out(np.asarray(image, np.uint8), label, box)
        if cutout is not None:
            yield label, cutout


def cut_out(image: npt.NDArray[np.uint8], label: str, box: Box) -> npt.NDArray[np.uint8] | None:
    """Return the fruit in a box, uint8 BGRA [H, W, 4]; None if its mask is not that of a whole fruit."""
    width, height = _sides(box)
    left, top = int(max(0, box[0] - _MARGIN * width)), int(max(0, box[1] - _MARGIN * height))
    right = int(min(image.shape[1], box[2] + _MARGIN * width))
    bottom = int(min(image.shape[0], box[3] + _MARGIN * height))
    crop = image[top:bottom, left:right]
    scale = min(1, _WORKING_SIDE / max(crop.shape[:2]))
    crop = np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    x, y, box_width, box_height = (int(value * scale) for value in (box[0] - left, box[1] - top, width, height))
    if box_width >= crop.shape[1] - 2 and box_height >= crop.shape[0] - 2:
        return None  # no background around it
    mask = np.zeros(crop.shape[:2], np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    rectangle = (x, y, box_width, box_height)
    try:
        cv2.grabCut(crop, mask, rectangle, background, foreground, _ITERATIONS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:
        return None
    fruit = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    count, components, statistics, _ = cv2.connectedComponentsWithStats(fruit)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    x, y, width, height, area = (int(value) for value in statistics[largest])
    minimum, maximum = _FILLED.get(label, _FILLED_ROUND)
    box_area = box_width * box_height
    if not (minimum < area / box_area < maximum and width * height / box_area > _MIN_COVERED):
        return None
    whole = cv2.morphologyEx((components == largest).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    alpha = cv2.GaussianBlur(whole * 255, (3, 3), 0)
    return np.dstack([crop, alpha])[y : y + height, x : x + width]


def _few_certain(labeled: LabeledImage, label: str) -> list[PseudoBox]:
    """Return the certain detections of fruit; empty if they are too many, too small or not all of this kind."""
    fruit = [found for found in labeled.detections if COCO_CLASSES[found.class_index] in FRUIT]
    certain = [found for found in fruit if found.score >= _CERTAIN]
    uncertain = [
        found
        for found in fruit
        if _UNCERTAIN <= found.score < _CERTAIN
        and all(_iou(found.box_xyxy, other.box_xyxy) < _ELSEWHERE for other in certain)
    ]
    if not 1 <= len(certain) <= _MAX_CERTAIN or len(uncertain) > 1:
        return []
    if any(COCO_CLASSES[found.class_index] != label for found in certain):
        return []
    widest = max(_sides(found.box_xyxy)[0] for found in certain)
    return certain if widest / labeled.image.width > _MIN_WIDTH else []


def _in_heap(box: Box, others: list[Box]) -> bool:
    width, height = _sides(box)
    return any(
        common_width > 0 and common_height > 0 and common_width * common_height > _MAX_OVERLAP * width * height
        for common_width, common_height in (_common_sides(box, other) for other in others)
    )


def _sides(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _common_sides(one: Box, other: Box) -> tuple[float, float]:
    return min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])


def _iou(one: Box, other: Box) -> float:
    width, height = _common_sides(one, other)
    if min(width, height) <= 0:
        return 0
    (width_1, height_1), (width_2, height_2) = _sides(one), _sides(other)
    return width * height / (width_1 * height_1 + width_2 * height_2 - width * height)


if __name__ == "__main__":
    main()
