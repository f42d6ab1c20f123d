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
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.atomic_write import atomic_directory
from edge_ssd.boxes import FloatArray
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.synthetic.background import draw_background
from edge_ssd.data.synthetic.banana import random_bunch
from edge_ssd.data.synthetic.sprite import Sprite, draw_bananas
from edge_ssd.errors import DataError

__all__ = ["draw_scene", "make_synthetic"]

ImageArray = npt.NDArray[np.uint8]

# Range of the longer side of a box relative to that of the image, as measured on the book's dataset.
_SIDE_RANGE = (42 / 256, 76 / 256)
_PROBABILITY_OF_TWO = 0.12
_MIN_MARGIN = 5 / 256  # between a banana and the border of the image
_JPEG_QUALITY = 90
_ARGUMENTS_FILE = "synthetic.json"
_VERSION = 1  # Increase it when the same seed draws other images.


def make_synthetic(
    folder: str | os.PathLike[str],
    num_train: int = 1000,
    num_val: int = 100,
    seed: int = 0,
    size: int = 256,
    progress: ProgressCallback = no_progress,
) -> bool:
    """Draw a dataset into ``folder``, which is created when it is complete.

    Args:
        folder: must be missing or empty, or have the dataset that these arguments make.
        num_train, num_val: numbers of images, with one labeled object each.
        size: side of an image in pixels, 64 to 2048.
        progress: called with (images drawn, images in total).

    Returns:
        True if images were drawn, False if the dataset exists already and was left unchanged.

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
        return False
    total = num_train + num_val
    drawn = 0
    with atomic_directory(root) as temporary:
        for split, (name, count) in enumerate((("bananas_train", num_train), ("bananas_val", num_val))):
            if not count:
                continue
            images = temporary / name / "images"
            images.mkdir(parents=True)
            with (temporary / name / "label.csv").open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(["img_name", "label", "xmin", "ymin", "xmax", "ymax"])
                for number in range(count):
                    # A random stream for each image, so that a larger dataset starts with the smaller one.
                    image, boxes = draw_scene(np.random.default_rng([seed, split, number]), size)
                    Image.fromarray(image).save(images / f"{number}.jpg", quality=_JPEG_QUALITY)
                    rows.writerow([f"{number}.jpg", 0, *boxes[0].astype(int)])
                    drawn += 1
                    progress(drawn, total)
        (temporary / _ARGUMENTS_FILE).write_text(json.dumps(arguments) + "\n", encoding="utf-8")
    return True


def draw_scene(
    rng: np.random.Generator, size: int | tuple[int, int] = 256, bananas: int = 1
) -> tuple[ImageArray, FloatArray]:
    """Draw bananas on a background.

    Args:
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
                _paste(image, sprite)
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


def _paste(image: FloatArray, sprite: Sprite) -> None:
    """Paste a sprite into ``image`` (float32 0–1) in place, cropped to the image."""
    top, left = max(sprite.y, 0), max(sprite.x, 0)
    region = image[top : sprite.y + sprite.rgba.shape[0], left : sprite.x + sprite.rgba.shape[1]]
    cropped = sprite.rgba[top - sprite.y :, left - sprite.x :][: region.shape[0], : region.shape[1]]
    rgba = cropped.astype(np.float32) / 255
    region += (rgba[..., :3] - region) * rgba[..., 3:]


def _read_arguments(root: Path) -> object:
    """Return the arguments that a folder was drawn with, or None."""
    try:
        return json.loads((root / _ARGUMENTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
