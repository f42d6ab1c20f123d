"""A contact sheet of training pictures as a recipe shows them to the network: each change by itself, then all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.inspection.contact_sheet import Thumbnail, draw_contact_sheet
from edge_ssd.evaluation.splits import subsample_evenly
from edge_ssd.network import InputSpec
from edge_ssd.training.input.images import ImageDataset, load_pictures
from edge_ssd.training.input.pipeline import augmented
from edge_ssd.training.recipe import AUGMENTATION_FIELDS, Recipe, book_recipe

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["augmented_sheet"]

_ROWS = 6
_TOGETHER = 3  # columns that show all changes at once, as so many epochs would
_UNCHANGED: dict[str, Any] = {
    name: getattr(book_recipe(), name) for name in AUGMENTATION_FIELDS
}  # the book changes nothing


def augmented_sheet(dataset: Dataset, spec: InputSpec, recipe: Recipe) -> Image.Image:
    """Pictures spread over the data set, one a row: as the network would get it, then changed.

    A column for each change that ``recipe`` makes, by itself, and three for all of them together.
    """
    pictures = load_pictures(subsample_evenly(dataset, min(_ROWS, len(dataset))), spec)
    columns = [("as it is", replace(recipe, **_UNCHANGED), 0)]
    for name in AUGMENTATION_FIELDS:
        flag, strength = name.replace("_", "-"), getattr(recipe, name)
        if strength != _UNCHANGED[name]:
            caption = flag if strength is True else f"{flag} {strength:g}"
            columns.append((caption, replace(recipe, **{**_UNCHANGED, name: strength}), 0))
    if len(columns) > 1:
        columns += [(f"together, epoch {epoch + 1}", recipe, epoch) for epoch in range(_TOGETHER)]
    shown = [list(_shown(pictures, *column)) for column in columns]
    cells = [cell for row in zip(*shown, strict=True) for cell in row]
    return draw_contact_sheet(cells, len(cells), dataset.labels, columns=len(columns), cell=max(200, *spec.size))


def _shown(pictures: ImageDataset, caption: str, recipe: Recipe, epoch: int) -> Iterator[Thumbnail]:
    images, labels = map(np.asarray, augmented(np.asarray(pictures.images[:]), pictures.labels, recipe, epoch, 0))
    height, width = images.shape[1:3]
    for image, rows in zip(np.rint(images).astype(np.uint8), labels, strict=True):
        real = rows[rows[:, 0] >= 0]
        boxes = real[:, 1:] * np.array([width, height] * 2, np.float32)
        yield Thumbnail(caption, image, boxes, real[:, 0].astype(np.int64))
