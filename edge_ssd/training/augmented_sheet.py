"""A contact sheet of training pictures as a recipe shows them to the network."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.data.dataset import Dataset
from edge_ssd.errors import DataError
from edge_ssd.evaluation.pictures import take_evenly
from edge_ssd.files import atomic_path
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import ImageArray
from edge_ssd.training.pictures import load_pictures
from edge_ssd.training.pipeline import augmented
from edge_ssd.training.recipe import Recipe

__all__ = ["augmented_grid", "write_augmented_sheet"]

_COLOURS = ((255, 59, 48), (0, 199, 255), (255, 204, 0), (76, 217, 100), (255, 45, 220), (255, 149, 0), (120, 110, 255))
_GAP = 4
_LEAST_CELL = 192  # pixels; smaller inputs are shown enlarged, by whole pixels


def augmented_grid(
    dataset: Dataset, spec: InputSpec, recipe: Recipe, rows: int = 6, columns: int = 6
) -> list[list[tuple[ImageArray, FloatArray]]]:
    """Pictures spread over the data set, one a row: as it is, then as the first epochs show it.

    Each is uint8 [height, width, 3] and labels [M, 5], as the network gets them.
    """
    pictures = load_pictures(take_evenly(dataset, min(rows, len(dataset))), spec)
    images = np.asarray(pictures.images[:])
    shown = [(images.astype(np.float32), pictures.labels)]
    for epoch in range(columns - 1):
        moved, labels = augmented(images, pictures.labels, recipe, epoch, 0)
        shown.append((moved.numpy(), labels.numpy()))
    return [
        [(np.rint(images[row]).astype(np.uint8), labels[row]) for images, labels in shown]
        for row in range(len(pictures))
    ]


def write_augmented_sheet(dataset: Dataset, spec: InputSpec, recipe: Recipe, path: Path) -> int:
    """Draw :func:`augmented_grid` with its boxes, one colour a class; returns how many pictures are in it."""
    from PIL import Image, ImageDraw

    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise DataError(f"{path}: a contact sheet is a picture: give it a name that ends in .png or .jpg")
    grid = augmented_grid(dataset, spec, recipe)
    scale = max(1, math.ceil(_LEAST_CELL / max(spec.size)))
    height, width = spec.height * scale, spec.width * scale
    sheet = Image.new("RGB", (len(grid[0]) * (width + _GAP) + _GAP, len(grid) * (height + _GAP) + _GAP), (32, 32, 32))
    for row, cells in enumerate(grid):
        for column, (image, labels) in enumerate(cells):
            cell = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
            draw = ImageDraw.Draw(cell)
            for class_id, *box in labels[labels[:, 0] >= 0].tolist():
                colour = _COLOURS[int(class_id) % len(_COLOURS)]
                left, top, right, bottom = (
                    side * length for side, length in zip(box, (width, height) * 2, strict=True)
                )
                draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour)
                if len(dataset.labels) > 1:
                    draw.text((left + 2, top), dataset.labels[int(class_id)], fill=colour)
            sheet.paste(cell, (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    with atomic_path(path) as temporary:
        sheet.save(temporary)
    return len(grid)
