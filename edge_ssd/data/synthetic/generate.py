"""A set of drawn bananas in the book's folders: everything works with it where nothing can be downloaded.

    <folder>/bananas_train/label.csv      img_name,label,xmin,ymin,xmax,ymax
    <folder>/bananas_train/images/0.jpg   256×256, one banana or one hand of two
    <folder>/bananas_val/…

Box sides are distributed as in the book's set (longer side 42 to 76 pixels of 256). The same arguments give the same
pictures, byte for byte with one version of NumPy and Pillow.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.atomic_write import atomic_directory
from edge_ssd.boxes import FloatArray
from edge_ssd.data.synthetic.background import draw_background
from edge_ssd.data.synthetic.banana import Banana, random_hand
from edge_ssd.data.synthetic.sprite import Sprite, draw_bananas
from edge_ssd.errors import DataError

__all__ = ["SyntheticDatasetResult", "draw_clip", "draw_scene", "make_synthetic"]

ImageArray = npt.NDArray[np.uint8]

# Longer side of a banana's box as a share of the picture's: 42 to 76 pixels of 256, measured on the book's kind of set.
_SIDES = (42 / 256, 76 / 256)
_HAND_OF_TWO = 0.12
_EDGE = 5 / 256  # no banana comes closer to the picture's edge
_JPEG_QUALITY = 90
_RECIPE = "synthetic.json"
_VERSION = 1  # of the drawing: raise it when the same seed draws something else


@dataclass(frozen=True)
class SyntheticDatasetResult:
    """A data set's folder, and whether it was drawn now (False: it was there already, from the same arguments)."""

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
    """Draw a data set into ``folder``, which appears when it is complete and not before.

    Args:
        folder: must not exist, be empty, or hold the set that these very arguments make.
        num_train, num_val: pictures, one labelled object each.
        seed: of every random choice.
        size: pixels of a picture's side, 64 to 2048.
        progress: called with (pictures done, pictures in all).

    Raises DataError for arguments out of range or a folder that holds anything else.
    """
    for name, value, low, high in (
        ("num_train", num_train, 1, 1_000_000),
        ("num_val", num_val, 0, 1_000_000),
        ("seed", seed, 0, 2**63 - 1),
        ("size", size, 64, 2048),
    ):
        if not low <= value <= high:
            raise DataError(f"{name} must be from {low} to {high}, got {value}")
    root = Path(folder)
    recipe = {"version": _VERSION, "train": num_train, "val": num_val, "seed": seed, "size": size}
    if _recipe_of(root) == recipe:
        return SyntheticDatasetResult(root, drawn=False)
    total = num_train + num_val
    done = 0
    with atomic_directory(root) as temporary:
        for split, count in enumerate((num_train, num_val)):
            if not count:
                continue
            place = temporary / ("bananas_train", "bananas_val")[split]
            (place / "images").mkdir(parents=True)
            with (place / "label.csv").open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(["img_name", "label", "xmin", "ymin", "xmax", "ymax"])
                for number in range(count):
                    # A stream of its own for every picture: a longer set begins with the shorter one.
                    rng = np.random.default_rng([seed, split, number])
                    image, boxes = draw_scene(rng, size)
                    _save(image, place / "images" / f"{number}.jpg")
                    rows.writerow([f"{number}.jpg", 0, *(int(side) for side in boxes[0])])
                    done += 1
                    if progress is not None:
                        progress(done, total)
        (temporary / _RECIPE).write_text(json.dumps(recipe) + "\n", encoding="utf-8")
    return SyntheticDatasetResult(root, drawn=True)


def draw_scene(
    rng: np.random.Generator, size: int | tuple[int, int] = 256, bananas: int = 1
) -> tuple[ImageArray, FloatArray]:
    """Draw bananas on a background.

    Args:
        rng: decides everything.
        size: pixels of a square picture's side, or (height, width).
        bananas: how many; fewer are drawn where there is no room left for one more.

    Returns (uint8 [height, width, 3] RGB, float32 [N, 4] xyxy in whole pixels). Boxes are tight around what is at
    least half opaque, and their overlap is small.
    """
    height, width = (size, size) if isinstance(size, int) else size
    image = draw_background(rng, height, width)
    boxes: list[tuple[int, int, int, int]] = []
    for _ in range(bananas):
        for _attempt in range(50):
            sprite = _placed(rng, height, width)
            if not any(_touch(sprite.box_xyxy, box) for box in boxes):
                image = _paste(image, sprite)
                boxes.append(sprite.box_xyxy)
                break
    return _to_bytes(image), np.array(boxes, np.float32).reshape(-1, 4)


def draw_clip(rng: np.random.Generator, num_frames: int, size: int | tuple[int, int] = 256) -> Iterator[ImageArray]:
    """Yield the frames of a clip: two or three bananas moving and turning over a background that pans slowly.

    Frames are uint8 [height, width, 3] RGB. Bananas stay inside the picture, and the last frame leads back to the
    first, so the clip can be shown in a loop.
    """
    height, width = (size, size) if isinstance(size, int) else size
    reach = max(round(min(height, width) * 0.08), 1)
    background = draw_background(rng, height + 2 * reach, width + 2 * reach)
    lanes = int(rng.integers(2, 4))
    flights = [_Flight.random(rng, lane, lanes, height, width) for lane in range(lanes)]
    for frame in range(num_frames):
        phase = 2 * math.pi * frame / num_frames
        top, left = round(reach * (1 + math.sin(phase))), round(reach * (1 + math.cos(phase)))
        image = background[top : top + height, left : left + width]
        for flight in flights:
            image = _paste(image, flight.sprite(phase))
        yield _to_bytes(image)


@dataclass(frozen=True)
class _Flight:
    """A banana's way through a clip: an ellipse in a lane of its own, so that bananas never meet."""

    hand: tuple[Banana, ...]
    side: float
    centre: tuple[float, float]
    reach: tuple[float, float]
    start: float
    turns: int
    angle: float

    @classmethod
    def random(cls, rng: np.random.Generator, lane: int, lanes: int, height: int, width: int) -> _Flight:
        side = min(min(height, width) * rng.uniform(0.2, _SIDES[1]), 0.9 * width / lanes)
        lane_width = width / lanes
        free = np.maximum(np.array([lane_width, height]) / 2 - side * 0.75, 0)
        return cls(
            hand=random_hand(rng, 1),
            side=side,
            centre=((lane + 0.5) * lane_width, height / 2),
            reach=(float(free[0]), float(free[1]) * rng.uniform(0.6, 1.0)),
            start=rng.uniform(0, 2 * math.pi),
            turns=int(rng.choice([-1, 1])),
            angle=rng.uniform(0, 2 * math.pi),
        )

    def sprite(self, phase: float) -> Sprite:
        x = self.centre[0] + self.reach[0] * math.cos(phase + self.start)
        y = self.centre[1] + self.reach[1] * math.sin(phase + self.start)
        return draw_bananas(self.hand, self.side, self.angle + self.turns * phase, (x, y))


def _placed(rng: np.random.Generator, height: int, width: int) -> Sprite:
    """A random banana (now and then a hand of two) at a random place, wholly inside the picture."""
    hand = random_hand(rng, 2 if rng.random() < _HAND_OF_TWO else 1)
    shorter = min(height, width)
    side = shorter * rng.uniform(*_SIDES)
    angle = rng.uniform(0, 2 * math.pi)
    margin = side / 2 + shorter * _EDGE + 1
    centre = (rng.uniform(margin, width - margin), rng.uniform(margin, height - margin))
    return draw_bananas(hand, side, angle, centre)


def _touch(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _paste(image: FloatArray, sprite: Sprite) -> FloatArray:
    """A copy of ``image`` (float32 0–1) with the sprite on it; what hangs over the edge is cut off."""
    height, width = image.shape[:2]
    pasted = image.copy()
    top, left = max(sprite.y, 0), max(sprite.x, 0)
    bottom, right = min(sprite.y + sprite.rgba.shape[0], height), min(sprite.x + sprite.rgba.shape[1], width)
    if bottom <= top or right <= left:
        return pasted
    rgba = sprite.rgba[top - sprite.y : bottom - sprite.y, left - sprite.x : right - sprite.x].astype(np.float32) / 255
    place = pasted[top:bottom, left:right]
    pasted[top:bottom, left:right] = place + (rgba[..., :3] - place) * rgba[..., 3:]
    return pasted


def _to_bytes(image: FloatArray) -> ImageArray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _save(image: ImageArray, path: Path) -> None:
    from PIL import Image

    Image.fromarray(image).save(path, quality=_JPEG_QUALITY)


def _recipe_of(root: Path) -> object:
    """The arguments that a folder was drawn with, or None."""
    try:
        return json.loads((root / _RECIPE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
