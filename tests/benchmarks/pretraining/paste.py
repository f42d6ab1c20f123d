"""Cut-outs pasted onto photographs: rotated, scaled, in the light of the place, sometimes partly hidden."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["PastedBox", "paste_some"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
PastedBox = tuple[str, float, float, float, float]  # label, xmin, ymin, xmax, ymax

_NUMBERS = (1, 1, 1, 2, 2, 3, 5)  # of cut-outs that are tried on an image, each as likely
_SHARES = {"apple": 1.0, "banana": 1.4, "orange": 1.0}
_WIDTHS = (0.07, 0.9)  # of the image's width
_MAX_SCALE = 2.2
_MIN_PIXELS = 20
_OPAQUE = 127
_MAX_OVERLAP = 0.3  # of the smaller of two boxes


def paste_some(
    image: Image, cutouts: Mapping[str, Sequence[Image]], generator: random.Random
) -> tuple[Image, list[PastedBox]]:
    """Return a copy of a BGR image with one to five cut-outs in BGRA, and the boxes of what is seen of them."""
    boxes: list[PastedBox] = []
    for _ in range(generator.choice(_NUMBERS)):
        changed = image.copy()
        label = generator.choices(list(_SHARES), list(_SHARES.values()))[0]
        share = math.exp(generator.uniform(math.log(_WIDTHS[0]), math.log(_WIDTHS[1])))
        box = _paste(changed, label, cutouts[label], share * image.shape[1], generator)
        if box is not None and all(_overlap(box, other) < _MAX_OVERLAP for other in boxes):
            image = changed
            boxes.append(box)
    return image, boxes


def _paste(
    image: Image, label: str, cutouts: Sequence[Image], side: float, generator: random.Random
) -> PastedBox | None:
    """Paste one cut-out whose longer side is ``side`` pixels into an image; None if it got too little to be seen."""
    cutout = generator.choice(cutouts)
    if generator.random() < 0.5:
        cutout = cutout[:, ::-1]
    # A banana lies in any direction, the others stand.
    angle = generator.uniform(-180, 180) if label == "banana" else generator.gauss(0, 25)
    scale = side / max(cutout.shape[:2])
    if scale > _MAX_SCALE:
        return None
    rotated = _trim(_rotate(cutout, angle, scale))
    if rotated is None:
        return None
    height, width = rotated.shape[:2]
    x, y = (
        generator.randint(-part // 5, max(-part // 5, whole - part + part // 5))
        for part, whole in ((width, image.shape[1]), (height, image.shape[0]))
    )
    left, top = max(0, x), max(0, y)
    right, bottom = min(image.shape[1], x + width), min(image.shape[0], y + height)
    seen = rotated[top - y : bottom - y, left - x : right - x]
    rows, columns = np.nonzero(seen[:, :, 3] > _OPAQUE)
    if len(columns) < _MIN_PIXELS:
        return None
    place = image[top:bottom, left:right]
    colors = _relight(seen, place.mean(), generator)
    mask = _mask(seen, generator)
    image[top:bottom, left:right] = (place * (1 - mask) + colors * mask).astype(np.uint8)
    xmin, ymin, xmax, ymax = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return label, float(left + xmin), float(top + ymin), float(left + xmax), float(top + ymax)


def _rotate(cutout: Image, angle: float, scale: float) -> Image:
    """Return a cut-out scaled and rotated about its center, with transparent pixels around it."""
    height, width = cutout.shape[:2]
    if scale < 1:  # by means of areas, which the rotation cannot
        size = (max(2, round(width * scale)), max(2, round(height * scale)))
        cutout = np.asarray(cv2.resize(cutout, size, interpolation=cv2.INTER_AREA), np.uint8)
        (height, width), scale = cutout.shape[:2], 1
    side = int(math.hypot(height, width) * scale) + 4
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += [side / 2 - width / 2, side / 2 - height / 2]
    rotated = cv2.warpAffine(
        cutout, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0)
    )
    return np.asarray(rotated, np.uint8)


def _trim(cutout: Image) -> Floats | None:
    """Return the part with opaque pixels; None if these are few."""
    rows, columns = np.nonzero(cutout[:, :, 3] > _OPAQUE)
    if len(columns) < _MIN_PIXELS:
        return None
    return cutout[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float32)


def _relight(cutout: Floats, brightness: float, generator: random.Random) -> Floats:
    """Return the colors of a cut-out, closer to the brightness of its place, in other light."""
    colors: Floats = cutout[:, :, :3]
    gain = brightness / max(1, colors[cutout[:, :, 3] > _OPAQUE].mean())
    gain = min(1.5, max(0.4, gain ** generator.uniform(0, 0.5)))
    gains = np.array([generator.uniform(0.92, 1.08) for _ in range(3)], np.float32)
    colors = np.clip(colors * gain * gains, 0, 255)
    if generator.random() < 0.3:  # light from one side
        ends = generator.uniform(0.5, 1), generator.uniform(0.9, 1.2)
        ramp = np.linspace(*ends, colors.shape[1], dtype=np.float32)[None, :, None]
        colors = np.clip(colors * (ramp if generator.random() < 0.5 else ramp[:, ::-1]), 0, 255)
    return colors


def _mask(cutout: Floats, generator: random.Random) -> Floats:
    """Return how opaque a cut-out is, 0–1, [H, W, 1], sometimes with a hole as if something were before it."""
    mask: Floats = cutout[:, :, 3:] / 255
    if generator.random() < 0.5:
        mask = np.asarray(cv2.GaussianBlur(mask, (3, 3), 0), np.float32)[..., None]
    if generator.random() < 0.3:
        height, width = mask.shape[:2]
        center = generator.randint(0, max(0, width * 2 // 3)), generator.randint(0, max(0, height * 2 // 3))
        axes = max(1, width // 5), max(1, height // 6)
        cv2.ellipse(mask, center, axes, generator.uniform(0, 180), 0, 360, 0, -1)
    return mask.reshape(*mask.shape[:2], 1)


def _overlap(one: PastedBox, other: PastedBox) -> float:
    """Return the share of the smaller of two boxes that the other covers."""
    width = min(one[3], other[3]) - max(one[1], other[1])
    height = min(one[4], other[4]) - max(one[2], other[2])
    if min(width, height) <= 0:
        return 0
    areas = [(box[3] - box[1]) * (box[4] - box[2]) for box in (one, other)]
    return width * height / min(areas)
