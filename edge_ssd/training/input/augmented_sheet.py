"""Contact sheet of training images with a recipe's augmentations, each alone and all together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.inspection.contact_sheet import Thumbnail, draw_contact_sheet
from edge_ssd.data.splits import subsample_evenly
from edge_ssd.network import InputSpec
from edge_ssd.training.input.batch_images import choose_partners
from edge_ssd.training.input.images import ImageDataset, load_images
from edge_ssd.training.input.label_rows import mosaic_rows
from edge_ssd.training.input.pipeline import augment_batch
from edge_ssd.training.recipe import AUGMENTATION_FIELDS, Recipe, book_recipe

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["augmented_sheet"]

_ROWS = 6
_COMBINED_COLUMNS = 3  # with all augmentations, one an epoch
# Columns by themselves; hide_cut only changes what zoom and crop do.
_SINGLE = [name for name in AUGMENTATION_FIELDS if name != "hide_cut"]
# The book's recipe has no augmentation.
_DISABLED: dict[str, Any] = {name: getattr(book_recipe(), name) for name in _SINGLE}


def augmented_sheet(dataset: Dataset, spec: InputSpec, recipe: Recipe) -> Image.Image:
    """Draw images spread over the dataset, one a row, at the network's input size.

    The columns are the original, each augmentation of ``recipe`` alone, and all of them together three times. If the
    recipe makes mosaics, which end before the last epoch, the third time is the last epoch.
    """
    images = load_images(subsample_evenly(dataset, min(_ROWS, len(dataset))), spec)
    columns = [("original", replace(recipe, **_DISABLED), 0)]
    for name in _SINGLE:
        flag, strength = name.replace("_", "-"), getattr(recipe, name)
        if strength != _DISABLED[name]:
            caption = flag if strength is True else f"{flag} {strength:g}"
            columns.append((caption, replace(recipe, **{**_DISABLED, name: strength}), 0))
    if len(columns) > 1:
        columns += [(f"all, epoch {epoch + 1}", recipe, epoch) for epoch in range(_COMBINED_COLUMNS)]
        if recipe.mosaic:
            columns[-1] = ("all, last epoch", recipe, recipe.epochs - 1)
    thumbnails = [list(_thumbnails(images, *column)) for column in columns]
    cells = [cell for row in zip(*thumbnails, strict=True) for cell in row]
    return draw_contact_sheet(cells, len(cells), dataset.labels, columns=len(columns), cell=max(200, *spec.size))


def _thumbnails(dataset: ImageDataset, caption: str, recipe: Recipe, epoch: int) -> Iterator[Thumbnail]:
    indices = choose_partners(dataset, recipe, epoch, (len(dataset),))
    partners = dataset.take(indices) if indices.size else None
    rows = mosaic_rows(dataset.labels) if recipe.mosaic else None
    batch = np.asarray(dataset.images[:]), dataset.labels
    images, labels = map(np.asarray, augment_batch(*batch, recipe, epoch, 0, partners, rows))
    height, width = images.shape[1:3]
    for image, rows in zip(np.rint(images).astype(np.uint8), labels, strict=True):
        objects = rows[rows[:, 0] >= 0]
        boxes = objects[:, 1:] * np.array([width, height] * 2, np.float32)
        yield Thumbnail(caption, image, boxes, objects[:, 0].astype(np.int64))
