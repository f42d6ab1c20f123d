"""Folders of images that show no object of a model's classes: false alarms are counted in them, or trained away."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from edge_ssd.console.counts import count
from edge_ssd.console.progress import Progress
from edge_ssd.data.check_images import DAMAGED, ImageChecks, unreadable_problems
from edge_ssd.data.dataset import Dataset, Sample, problem_lines
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.load import open_dataset
from edge_ssd.errors import DataError

__all__ = ["load_background"]

_log = logging.getLogger(__name__)


def load_background(
    folders: Sequence[Path], labeled: Dataset, strict: bool = False, *, decode: bool = True
) -> tuple[Sample, ...]:
    """Return the images in and below ``folders``, each once, as samples without objects.

    Label files in a folder are only read to refuse it if they name an object of the classes of ``labeled``.

    Images that cannot be decoded are dropped, with a warning; without ``decode`` that is left to the caller. Images of
    ``labeled``, which have no object, are left out.

    Raises:
        DataError: a folder is missing or has no image that can be decoded, or has images of ``labeled`` with objects,
            or others with labeled objects of its classes; or an image is damaged and ``strict`` is set.
    """
    measured = {sample.path.resolve(): len(sample.class_ids) for sample in labeled.samples}
    checks, paths = ImageChecks(), dict[Path, Path]()
    for folder in folders:
        images = {path.resolve(): path for path in _list_images(folder)}
        with_objects = [path for resolved, path in images.items() if measured.get(resolved)]
        if with_objects:
            raise DataError(
                f"{folder}: {count(len(with_objects), 'image')} of it "
                f"{'has' if len(with_objects) == 1 else 'have'} labeled objects in {labeled.root}, such as "
                f"{with_objects[0].name}; give folders of images without any object of the model's classes"
            )
        _refuse_labeled_objects(folder, labeled.labels)
        usable = _decodable(folder, list(images.values()), checks, strict) if decode else images.values()
        paths |= {resolved: path for resolved, path in images.items() if path in usable and resolved not in measured}
    no_boxes, no_classes = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    return tuple(Sample(path, no_boxes, no_classes) for path in paths.values())


def _refuse_labeled_objects(folder: Path, labels: Sequence[str]) -> None:
    """Raise DataError if label files in ``folder`` name an object of the classes ``labels``."""
    try:
        dataset = open_dataset(folder)
    except DataError:  # as a rule: no label files
        return
    if not dataset.annotations.has_class_names:
        return
    names = dataset.annotations.class_names
    found = [
        (image, names[box.class_index])
        for image in dataset.annotations.images
        for box in image.boxes
        if names[box.class_index] in labels
    ]
    if found:
        image, label = found[0]
        raise DataError(
            f"{folder}: its label files name {count(len(found), 'object')} of the model's classes, such as {label!r} "
            f"in {image.file_name}; give folders of images without any"
        )


def _list_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "no such folder"
        raise DataError(f"{folder}: {problem}; give a folder of images without any object of the model's classes")
    images = FileTree(folder).images()
    if not images:
        raise DataError(f"{folder}: no images in it; give a folder of images such as .jpg and .png")
    return images


def _decodable(folder: Path, paths: Sequence[Path], checks: ImageChecks, strict: bool) -> Collection[Path]:
    with Progress("checking", "images") as progress:
        results = checks.check(paths, progress)
    pairs = list(zip(paths, results, strict=True))
    problems = unreadable_problems(((path, check.error) for path, check in pairs if check.error), *DAMAGED)
    if strict and problems:
        raise DataError(str(problems[0]))
    usable = {path for path, check in pairs if not check.error}
    if not usable:
        raise DataError(f"{folder}: none of its {count(len(paths), 'image')} can be decoded; the first: {problems[0]}")
    for line in problem_lines(problems, hint=f"of {count(len(paths), 'image')} in {folder}"):
        _log.warning("%s", line)
    return usable
