"""Synthetic dataset of drawn bananas in the folders of the book's dataset, for use without a download.

    <folder>/bananas_train/label.csv      img_name,label,xmin,ymin,xmax,ymax
    <folder>/bananas_train/images/0.jpg   256×256, one banana or one bunch of two
    <folder>/bananas_val/…

Box sides are distributed as in the book's dataset (longer side 42 to 76 pixels of 256). The same arguments give the
same images, byte for byte with one version of NumPy and Pillow.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.atomic_write import atomic_directory
from edge_ssd.boxes import FloatArray
from edge_ssd.data.synthetic.background import draw_background
from edge_ssd.data.synthetic.banana import random_bunch
from edge_ssd.data.synthetic.sprite import Sprite, draw_bananas
from edge_ssd.errors import DataError

__all__ = ["SyntheticDatasetResult", "draw_scene", "make_synthetic"]

ImageArray = npt.NDArray[np.uint8]

# Range of the longer side of a box relative to that of the image, as measured on the book's dataset.
_SIDE_RANGE = (42 / 256, 76 / 256)
_PROBABILITY_OF_TWO = 0.12
_MIN_MARGIN = 5 / 256  # between a banana and the border of the image
_JPEG_QUALITY = 90
_ARGUMENTS_FILE = "synthetic.json"
_VERSION = 1  # Increase it when the same seed draws other images.


@dataclass(frozen=True)
class SyntheticDatasetResult:
    """Result of :func:`make_synthetic`.

    Attributes:
        path: folder of the dataset.
        drawn: False if it existed already, made with the same arguments.
    """

    path: Path
    drawn: bool


def make_synthetic(
    folder: str | os.PathLike[str],
    num_train: int = 1000,
    num_val: int = 100,
    seed: int = 0,
    size: int = 256,
    progress: Callable[[int, int | None], None] | None = None,
) -> SyntheticDatasetResult:
    """Draw a dataset into ``folder``, which is created when it is complete.

    Args:
        folder: must be missing or empty, or have the dataset that these arguments make.
        num_train, num_val: numbers of images, with one labeled object each.
        seed: random seed.
        size: side of an image in pixels, 64 to 2048.
        progress: called with (images drawn, images in total).

    Raises:
        DataError: an argument is out of range, or the folder has other content.
    """
    from PIL import Image

    for name, value, low, high in (
        ("num_train", num_train, 1, 1_000_000),
        ("num_val", num_val, 0, 1_000_000),
        ("seed", seed, 0, 2**63 - 1),
        ("size", size, 64, 2048),
    ):
        if not low <= value <= high:
            raise DataError(f"{name} must be from {low} to {high}, got {value}")
    root = Path(folder)
    arguments = {"version": _VERSION, "train": num_train, "val": num_val, "seed": seed, "size": size}
    if _read_arguments(root) == arguments:
        return SyntheticDatasetResult(root, drawn=False)
    total = num_train + num_val
    drawn = 0
    with atomic_directory(root) as temporary:
        for split, count in enumerate((num_train, num_val)):
            if not count:
                continue
            split_folder = temporary / ("bananas_train", "bananas_val")[split]
            (split_folder / "images").mkdir(parents=True)
            with (split_folder / "label.csv").open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(["img_name", "label", "xmin", "ymin", "xmax", "ymax"])
                for number in range(count):
                    # A random stream for each image, so that a larger dataset starts with the smaller one.
                    rng = np.random.default_rng([seed, split, number])
                    image, boxes = draw_scene(rng, size)
                    Image.fromarray(image).save(split_folder / "images" / f"{number}.jpg", quality=_JPEG_QUALITY)
                    rows.writerow([f"{number}.jpg", 0, *(int(side) for side in boxes[0])])
                    drawn += 1
                    if progress is not None:
                        progress(drawn, total)
        (temporary / _ARGUMENTS_FILE).write_text(json.dumps(arguments) + "\n", encoding="utf-8")
    return SyntheticDatasetResult(root, drawn=True)


def draw_scene(
    rng: np.random.Generator, size: int | tuple[int, int] = 256, bananas: int = 1
) -> tuple[ImageArray, FloatArray]:
    """Draw bananas on a background.

    Args:
        rng: source of every random choice.
        size: side of a square image in pixels, or (height, width).
        bananas: number of bananas; fewer are drawn if there is no space for more.

    Returns:
        uint8 [height, width, 3] RGB, and boxes, float32 [N, 4] xyxy in whole pixels. Boxes are tight around the pixels
        that are at least half opaque, and do not overlap.
    """
    height, width = (size, size) if isinstance(size, int) else size
    image = draw_background(rng, height, width)
    boxes: list[tuple[int, int, int, int]] = []
    for _ in range(bananas):
        for _attempt in range(50):
            sprite = _random_sprite(rng, height, width)
            if not any(_overlap(sprite.box_xyxy, box) for box in boxes):
                image = _paste(image, sprite)
                boxes.append(sprite.box_xyxy)
                break
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return pixels, np.array(boxes, np.float32).reshape(-1, 4)


def _random_sprite(rng: np.random.Generator, height: int, width: int) -> Sprite:
    """Return a random banana, or sometimes a bunch of two, at a random position inside the image."""
    bunch = random_bunch(rng, 2 if rng.random() < _PROBABILITY_OF_TWO else 1)
    shorter = min(height, width)
    side = shorter * rng.uniform(*_SIDE_RANGE)
    angle = rng.uniform(0, 2 * math.pi)
    margin = side / 2 + shorter * _MIN_MARGIN + 1
    center = (rng.uniform(margin, width - margin), rng.uniform(margin, height - margin))
    return draw_bananas(bunch, side, angle, center)


def _overlap(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _paste(image: FloatArray, sprite: Sprite) -> FloatArray:
    """Return a copy of ``image`` (float32 0–1) with the sprite pasted and cropped to the image."""
    height, width = image.shape[:2]
    pasted = image.copy()
    top, left = max(sprite.y, 0), max(sprite.x, 0)
    bottom, right = min(sprite.y + sprite.rgba.shape[0], height), min(sprite.x + sprite.rgba.shape[1], width)
    if bottom <= top or right <= left:
        return pasted
    rgba = sprite.rgba[top - sprite.y : bottom - sprite.y, left - sprite.x : right - sprite.x].astype(np.float32) / 255
    region = pasted[top:bottom, left:right]
    pasted[top:bottom, left:right] = region + (rgba[..., :3] - region) * rgba[..., 3:]
    return pasted


def _read_arguments(root: Path) -> object:
    """Return the arguments that a folder was drawn with, or None."""
    try:
        return json.loads((root / _ARGUMENTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
