"""Files of the pool: a folder with the images of each source, and beside it what is known of them.

    NAME/00000.jpg …          images, longer side at most 384 pixels
    NAME.jsonl                a PoolImage a line
    NAME.refused.txt          origin and reason of the images that were not taken
    NAME.boxes.json           file → [class, xmin, ymin, xmax, ymax] of each box of the source's own labels
    NAME.detections.jsonl     [file, [[class index, score, xmin, ymin, xmax, ymax], …]] a line, by the teacher

Coordinates are pixels of the image in the pool.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Box",
    "LabeledImage",
    "OwnBox",
    "PoolImage",
    "PseudoBox",
    "append_detections",
    "read_detections",
    "read_index",
    "read_labeled_images",
    "require_files",
    "source_names",
    "write_index",
    "write_own_boxes",
]

Box = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax


class OwnBox(NamedTuple):
    """A box of the source's own labels."""

    label: str
    box_xyxy: Box


class PseudoBox(NamedTuple):
    """A detection of the teacher: index of a COCO class, score and box."""

    class_index: int
    score: float
    box_xyxy: Box


@dataclass(frozen=True)
class PoolImage:
    """An image of the pool.

    Attributes:
        file: its path in the pool, "NAME/00000.jpg".
        origin: "owner/name:path".
        position: its index among the candidates of its source.
        width, height: in pixels.
        scale: pixels of the pool's image per pixel of the original.
        offset: (x, y) of the original's upper left corner less this of the pool's image, in pixels of the latter.
        thumbnail: 16×17 gray levels in hexadecimal digits, to find images that look alike.
    """

    file: str
    origin: str
    position: int
    width: int
    height: int
    scale: float
    offset: tuple[int, int] = (0, 0)
    thumbnail: str = field(default="", repr=False)


@dataclass(frozen=True)
class LabeledImage:
    """An image that the teacher has seen, its detections, and its own boxes, None without trusted labels."""

    image: PoolImage
    detections: tuple[PseudoBox, ...]
    own: tuple[OwnBox, ...] | None


def require_files(*paths: Path) -> None:
    """Exit with a line that names the first of some files that does not exist."""
    for path in paths:
        if not path.is_file():
            sys.exit(f"{path}: does not exist")


def source_names(pool: Path) -> list[str]:
    """Return the names of the sources in a pool, sorted; exit if there is none."""
    names = sorted(path.name.removesuffix(".jsonl") for path in pool.glob("*.jsonl"))
    names = [name for name in names if not name.endswith(".detections")]
    if not names:
        sys.exit(f"{pool}: has no images: run pool.py first")
    return names


def read_index(pool: Path, name: str) -> list[PoolImage]:
    """Return the images of a source in the order in which they were taken."""
    rows = [json.loads(line) for line in (pool / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [PoolImage(**{**row, "offset": tuple(row["offset"])}) for row in rows]


def write_index(pool: Path, name: str, images: list[PoolImage]) -> None:
    """Write the index of a source; its presence shows that the source is complete."""
    temporary = pool / f"{name}.jsonl.partial"
    temporary.write_text("".join(json.dumps(asdict(image)) + "\n" for image in images), encoding="utf-8")
    temporary.replace(pool / f"{name}.jsonl")


def write_own_boxes(pool: Path, name: str, boxes: dict[str, list[OwnBox]]) -> None:
    rows = {file: [[box.label, *box.box_xyxy] for box in own] for file, own in boxes.items()}
    (pool / f"{name}.boxes.json").write_text(json.dumps(rows), encoding="utf-8")


def append_detections(pool: Path, name: str, file: str, detections: list[PseudoBox]) -> None:
    rows = [[found.class_index, found.score, *found.box_xyxy] for found in detections]
    with (pool / f"{name}.detections.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps([file, rows]) + "\n")


def read_detections(pool: Path, name: str) -> dict[str, tuple[PseudoBox, ...]]:
    """Return the detections of each image that the teacher has seen; a line that was cut off is left out."""
    path = pool / f"{name}.detections.jsonl"
    found = {}
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            file, rows = json.loads(line)
        except ValueError:
            continue
        found[file] = tuple(PseudoBox(int(index), score, (x1, y1, x2, y2)) for index, score, x1, y1, x2, y2 in rows)
    return found


def read_labeled_images(pool: Path, name: str) -> Iterator[LabeledImage]:
    """Yield the images of a source that the teacher has seen, in the order of the index."""
    detections = read_detections(pool, name)
    path = pool / f"{name}.boxes.json"
    own = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for image in read_index(pool, name):
        if image.file in detections:
            rows = own.get(image.file)
            boxes = None if rows is None else tuple(OwnBox(row[0], (row[1], row[2], row[3], row[4])) for row in rows)
            yield LabeledImage(image, detections[image.file], boxes)
