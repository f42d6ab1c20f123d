"""YOLO, in the layout of Ultralytics.

    data.yaml                                        where the splits are, and the names of the classes
    images/train/0.jpg, images/val/9.jpg …           images of a split
    labels/train/0.txt, labels/val/9.txt …           their labels; background images have an empty file
    images/, labels/                                 an undivided dataset, which data.yaml names as train and as val

Source: https://docs.ultralytics.com/datasets/detect/. ``data.yaml`` has no ``path``: without it, the folders are
relative to the file.
"""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from edge_ssd.console.counts import count
from edge_ssd.data.writers.dataset_writer import NamedSample

__all__ = ["LABELS_BY_STEM", "image_folder", "write_labels"]

_log = logging.getLogger(__name__)

LABELS_BY_STEM = True

# Digits after the point. Six are usual; more are written where a box needs them.
_DIGITS = (6, 8, 10, 12, 15, 17)

# Other images are skipped by Ultralytics. Source: IMG_FORMATS in its data/utils.py.
_ULTRALYTICS_SUFFIXES = frozenset(
    {f".{name}" for name in ("bmp", "dng", "heic", "jpeg", "jpg", "mpo", "pfm", "png", "tif", "tiff", "webp")}
)


def image_folder(split: str) -> str:
    """Return "images/train", or "images" for an undivided dataset."""
    return f"images/{split}" if split else "images"


def write_labels(root: Path, labels: Sequence[str], splits: Mapping[str, Sequence[NamedSample]]) -> None:
    """Write ``data.yaml`` and a text file for each image."""
    for split, images in splits.items():
        folder = root / image_folder(split).replace("images", "labels")
        folder.mkdir(parents=True)
        for image in images:
            lines = [
                f"{class_id} {_normalize(box, image.size)}\n"
                for box, class_id in zip(image.sample.boxes_xyxy.tolist(), image.sample.class_ids.tolist(), strict=True)
            ]
            (folder / f"{PurePath(image.name).stem}.txt").write_text("".join(lines), encoding="utf-8")
    _log_skipped([image.name for images in splits.values() for image in images])
    # Ultralytics requires train and val. The same folder for both is an undivided dataset to this project's reader.
    folders = {split: image_folder(split) for split in splits if split} or dict.fromkeys(("train", "val"), "images")
    missing = [split for split in ("train", "val") if split not in folders]
    if missing:
        _log.info("data.yaml: there is no %s split, which Ultralytics needs to train", " and no ".join(missing))
    text = "".join(f"{split}: {folder}\n" for split, folder in folders.items())
    names = "".join(f"  {number}: {_quote(label)}\n" for number, label in enumerate(labels))
    (root / "data.yaml").write_text(f"{text}nc: {len(labels)}\nnames:\n{names}", encoding="utf-8")


def _log_skipped(names: Sequence[str]) -> None:
    suffixes = [PurePath(name).suffix.lower() for name in names]
    skipped = [suffix for suffix in suffixes if suffix not in _ULTRALYTICS_SUFFIXES]
    if skipped:
        different = ", ".join(sorted(set(skipped)))
        skips = f"{len(skipped)} of {count(len(names), 'image')}"
        _log.info("Ultralytics skips %s, as it does not know %s", skips, different)


def _normalize(box_xyxy: Sequence[float], size: tuple[int, int]) -> str:
    """Return center, width and height in 0–1 with as many digits as reading the same float32 corners needs."""
    height, width = size
    xmin, ymin, xmax, ymax = box_xyxy
    sides = ((xmin + xmax) / 2 / width, (ymin + ymax) / 2 / height, (xmax - xmin) / width, (ymax - ymin) / height)
    expected = struct.pack("4f", *box_xyxy)
    for digits in _DIGITS:
        text = " ".join([f"{side:.{digits}f}" for side in sides])
        x, y, w, h = map(float, text.split())
        corners = ((x - w / 2, width), (y - h / 2, height), (x + w / 2, width), (y + h / 2, height))
        # As the reader does it; the sum makes 0 of -0.
        if struct.pack("4f", *[min(max(side * limit, 0), limit) + 0.0 for side, limit in corners]) == expected:
            break
    return text


def _quote(text: str) -> str:
    """Return a double-quoted scalar of YAML; what is not printable there is escaped."""
    escaped = re.sub(r'["\\\\]', r"\\\g<0>", text)
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in escaped) + '"'
