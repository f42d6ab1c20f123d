"""Writes one and the same labelled set in every format that is read, for tests that compare what comes back."""

from __future__ import annotations

import csv
import json
import xml.sax.saxutils
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np
from PIL import Image

__all__ = ["WRITERS", "Labelled", "write_picture"]


@dataclass(frozen=True)
class Labelled:
    """A picture's name, split, (width, height), and (label, xyxy in pixels) of its objects."""

    name: str
    split: str = "train"
    size: tuple[int, int] = (60, 40)
    objects: Sequence[tuple[str, tuple[float, float, float, float]]] = field(default_factory=tuple)


def write_picture(path: Path, size: tuple[int, int] = (60, 40), seed: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    pixels = np.full((height, width, 3), (200, 180, 40), np.uint8)
    if seed is not None:
        pixels = np.random.default_rng(seed).integers(0, 255, pixels.shape, np.uint8)
    Image.fromarray(pixels).save(path)


def write_d2l(root: Path, pictures: Sequence[Labelled], labels: Sequence[str]) -> None:
    for split in {picture.split for picture in pictures}:
        folder = root / f"set_{split}"
        rows: list[Sequence[object]] = [["img_name", "label", "xmin", "ymin", "xmax", "ymax"]]
        for picture in pictures:
            if picture.split == split:
                write_picture(folder / "images" / picture.name, picture.size)
                rows += [[picture.name, labels.index(label), *box] for label, box in picture.objects]
        _write_csv(folder / "label.csv", rows)
    (root / "classes.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")


def write_tf_csv(root: Path, pictures: Sequence[Labelled], labels: Sequence[str]) -> None:
    for split in {picture.split for picture in pictures}:
        rows: list[Sequence[object]] = [["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]]
        for picture in pictures:
            if picture.split == split:
                write_picture(root / "images" / split / picture.name, picture.size)
                rows += [[picture.name, *picture.size, label, *box] for label, box in picture.objects]
        _write_csv(root / "images" / f"{split}_labels.csv", rows)


def write_voc(root: Path, pictures: Sequence[Labelled], labels: Sequence[str]) -> None:
    lists: dict[str, list[str]] = {}
    for picture in pictures:
        write_picture(root / "JPEGImages" / picture.name, picture.size)
        stem = PurePath(picture.name).stem
        items = "".join(
            f"<object><name>{xml.sax.saxutils.escape(label)}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
            f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
            for label, box in picture.objects
        )
        name = xml.sax.saxutils.escape(picture.name)
        _write(root / "Annotations" / f"{stem}.xml", f"<annotation><filename>{name}</filename>{items}</annotation>")
        lists.setdefault(picture.split, []).append(stem)
    for split, stems in lists.items():
        _write(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(stems) + "\n")


def write_coco(root: Path, pictures: Sequence[Labelled], labels: Sequence[str]) -> None:
    for split in {picture.split for picture in pictures}:
        own = [picture for picture in pictures if picture.split == split]
        for picture in own:
            write_picture(root / split / picture.name, picture.size)
        _write(
            root / "annotations" / f"instances_{split}.json",
            json.dumps(
                {
                    "images": [
                        {"id": number, "file_name": picture.name, "width": picture.size[0], "height": picture.size[1]}
                        for number, picture in enumerate(own)
                    ],
                    "annotations": [
                        {"image_id": number, "category_id": 3 * labels.index(label) + 1, "bbox": _ltwh(box)}
                        for number, picture in enumerate(own)
                        for label, box in picture.objects
                    ],
                    # Ids with gaps.
                    "categories": [{"id": 3 * number + 1, "name": label} for number, label in enumerate(labels)],
                }
            ),
        )


def write_yolo(root: Path, pictures: Sequence[Labelled], labels: Sequence[str]) -> None:
    for picture in pictures:
        width, height = picture.size
        write_picture(root / "images" / picture.split / picture.name, picture.size)
        lines = [
            f"{labels.index(label)} {(box[0] + box[2]) / 2 / width!r} {(box[1] + box[3]) / 2 / height!r} "
            f"{(box[2] - box[0]) / width!r} {(box[3] - box[1]) / height!r}\n"
            for label, box in picture.objects
        ]
        _write(root / "labels" / picture.split / f"{PurePath(picture.name).stem}.txt", "".join(lines))
    splits = "".join(f"{split}: images/{split}\n" for split in {picture.split for picture in pictures})
    # JSON is YAML: it quotes what needs quoting.
    _write(root / "data.yaml", f"path: /home/someone/sets/x\n{splits}names: {json.dumps(list(labels))}\n")


WRITERS = {"d2l_csv": write_d2l, "tf_csv": write_tf_csv, "voc": write_voc, "coco": write_coco, "yolo": write_yolo}


def _ltwh(box: tuple[float, float, float, float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
