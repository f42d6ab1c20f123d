"""Search for validation images that the model was trained on that a run starts from (``--from``)."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.held_out import image_name
from edge_ssd.data.held_out_images import find_held_out, is_same_dataset, name_some, parse_held_out
from edge_ssd.data.manifest import Manifest
from edge_ssd.errors import DataError
from edge_ssd.runtime.network_file import read_description
from edge_ssd.training.run_folder import load_manifest

__all__ = ["warn_if_trained_before"]

_log = logging.getLogger(__name__)


def warn_if_trained_before(path: Path, training: Dataset, validation: Dataset) -> None:
    """Log a warning if the model ``path`` was trained on some of the validation images.

    These are images of the same dataset that the model does not name as held out, and those that the folder of its run
    lists as training images, with the same labels.
    """
    _, description = read_description(path)
    names = [image_name(sample.path, validation.root) for sample in validation.samples]
    trained: set[str] = set()
    held_out = parse_held_out(description)
    if held_out is not None and held_out.names:
        together = validation.with_samples((*validation.samples, *training.samples))
        found = find_held_out(together, held_out)
        if is_same_dataset(len(found), held_out, len(together)):
            trained |= {name for index, name in enumerate(names) if index not in found}
    try:
        earlier = load_manifest(path.parent)
    except DataError:
        earlier = None  # only a resume of that run needs it
    if earlier is not None:
        own = Manifest.of(training, validation).validation
        trained |= {name for name, value in own.items() if earlier.training.get(name) == value}
    if trained:
        _log.warning(
            "%d of %s %s trained on by %s (--from): their AP is too high (%s); measure the new model on other images",
            len(trained),
            count(len(names), "validation image"),
            "was" if len(trained) == 1 else "were",
            path,
            name_some(sorted(trained)),
        )
