"""Random choice of the training images that validate a model, where a dataset has no validation split."""

from __future__ import annotations

import logging

from edge_ssd.console.counts import count
from edge_ssd.console.progress import Progress
from edge_ssd.data.check_images import ImageChecks
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.divide import divide_dataset, find_similar
from edge_ssd.data.splits import split_dataset
from edge_ssd.errors import DataError

__all__ = ["hold_out"]

_log = logging.getLogger(__name__)


def hold_out(dataset: Dataset, fraction: float, seed: int, checks: ImageChecks) -> tuple[Dataset, Dataset]:
    """Return the images to train on, and about ``fraction`` of all, which are held out for validation.

    Identical and similar images stay together, as in ``edge-ssd data split``: a copy of a training image, or the next
    frame of its video, gives an AP that is too high. If nearly all images look alike, they are divided singly, which a
    warning says.

    Args:
        fraction: in (0, 1).
        seed: of the random choice.
        checks: results of decoding the images, which all of them are added to.

    Raises:
        DataError: there is a single image.
    """
    with Progress("comparing", "images") as progress:
        similar = find_similar(dataset, progress=progress, checks=checks)
    if not similar:
        return split_dataset(dataset, 1 - fraction, seed)
    images = count(sum(map(len, similar)), "image", "is", "are")
    try:
        parts = divide_dataset(dataset, {"train": 1 - fraction, "val": fraction}, similar, seed)
    except DataError:
        parts = {}
    if not parts or not all(part.num_boxes for part in parts.values()):
        _log.warning(
            "%s identical or similar to others, so that validation images look like training images and their AP may "
            "be too high: add images of other scenes",
            images,
        )
        return split_dataset(dataset, 1 - fraction, seed)
    groups = f"the {len(similar)} groups of them stay" if len(similar) > 1 else "they stay"
    _log.info("%s identical or similar to others: %s together, in training or in validation", images, groups)
    # Notices and problems belong to all images, and are reported once.
    training, validation = parts["train"], parts["val"]
    return training, Dataset(dataset.root, dataset.labels, validation.samples, dataset.format)
