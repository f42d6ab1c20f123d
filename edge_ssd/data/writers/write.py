"""Writing of a complete dataset: label files and images, in a folder that appears when it is complete."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge_ssd.atomic_write import atomic_directory, check_writable, is_nonempty
from edge_ssd.console.counts import count
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.image_header import ImageHeader, read_image_header
from edge_ssd.data.writers.dataset_writer import DatasetWriter, NamedSample
from edge_ssd.data.writers.image_names import unique_names
from edge_ssd.data.writers.place_image import ImageMode, place_image
from edge_ssd.data.writers.registry import DATASET_WRITERS
from edge_ssd.errors import DataError

__all__ = ["check_new_folder", "write_dataset"]

_log = logging.getLogger(__name__)


def check_new_folder(out: Path, roots: Sequence[Path]) -> None:
    """Raise DataError or OSError if no dataset can be written at ``out``; create nothing, so that it can come first.

    Args:
        roots: the datasets that are read: a new one in them would be read with them.
    """
    resolved = out.resolve()
    if resolved == Path.cwd().resolve():
        raise DataError(f"{out}: is the current folder: choose a new folder for the dataset")
    for root in roots:
        if resolved == root.resolve():
            raise DataError(f"{out}: is a dataset that is read: name a new folder for the result")
        if resolved.is_relative_to(root.resolve()):
            raise DataError(f"{out}: is inside the dataset {root}: choose a folder outside of it")
    if is_nonempty(out):
        raise DataError(f"{out}: is not an empty folder: choose another")
    try:
        check_writable(resolved.with_name(f".{resolved.name}.new"))
    except OSError as error:
        error.filename = os.fspath(out)
        raise


def write_dataset(
    out: Path,
    splits: Mapping[str, Dataset],
    format: str,
    roots: Sequence[Path],
    images: ImageMode = "copy",
    read_header: Callable[[Path], ImageHeader] = read_image_header,
    progress: ProgressCallback = no_progress,
) -> None:
    """Write a dataset with its images to a new folder, which appears when everything is in it.

    Images keep their names unless several in a folder have the same (see :func:`~.image_names.unique_names`); that is
    logged. Boxes are in pixels of the upright image, and so is the size that label files state.

    Args:
        splits: split → its samples, with equal ``labels``; the only key of an undivided dataset is "".
        format: a key of :data:`~edge_ssd.data.writers.registry.DATASET_WRITERS`.
        roots: folders of the datasets that the samples are from.
        images: copy them, link those that are in one of the ``roots``, or write label files only.
        read_header: returns the header of an image file.
        progress: called with (images written, images in total).

    Raises:
        DataError: ``out`` is not a new or empty folder or is inside a dataset that is read, or a class name cannot be
            expressed in the format.
        OSError: an image cannot be read, or ``out`` cannot be written.
    """
    check_new_folder(out, roots)
    writer = DATASET_WRITERS[format]
    labels = next(iter(splits.values())).labels
    assert all(dataset.labels == labels for dataset in splits.values())
    names = _name_images(splits, writer, roots)
    headers = {sample: read_header(sample.path) for dataset in splits.values() for sample in dataset.samples}
    _log_rotated(headers)
    named = {
        split: [NamedSample(names[sample], sample, sample.size or headers[sample].size) for sample in dataset.samples]
        for split, dataset in splits.items()
    }
    total, done = len(names), 0
    with atomic_directory(out.resolve()) as temporary:
        writer.write_labels(temporary, labels, named)
        for split, samples in named.items():
            folder = temporary / writer.image_folder(split)
            if images != "none":
                folder.mkdir(parents=True, exist_ok=True)
            for image in samples:
                path = image.sample.path
                # What is not in the dataset's folder, as an image unpacked from a TFRecord, may be removed one day.
                inside = any(path.is_relative_to(root) for root in roots)
                place_image(path, folder / image.name, "copy" if images == "link" and not inside else images)
                done += 1
                progress(done, total)


def _name_images(splits: Mapping[str, Dataset], writer: DatasetWriter, roots: Sequence[Path]) -> dict[Sample, str]:
    """Return a name for each sample that is unique in its folder, and log what was renamed."""
    by_folder: dict[str, list[Sample]] = {}
    for split, dataset in splits.items():
        by_folder.setdefault(writer.image_folder(split), []).extend(dataset.samples)
    names: dict[Sample, str] = {}
    for samples in by_folder.values():
        unique = unique_names([sample.path for sample in samples], roots, writer.LABELS_BY_STEM)
        names |= zip(samples, unique, strict=True)
    renamed = [(sample.path, name) for sample, name in names.items() if sample.path.name != name]
    if renamed:
        path, name = renamed[0]
        reason = "as several have the same name, or one that label files cannot state"
        _log.info("%s renamed, %s; %s is %s", count(len(renamed), "image"), reason, path, name)
    return names


def _log_rotated(headers: Mapping[Sample, ImageHeader]) -> None:
    rotated = sum(header.orientation in range(2, 9) for header in headers.values())
    if rotated:
        _log.info(
            "%s rotated by EXIF: boxes fit the upright images, as OpenCV and Ultralytics read them; torchvision and "
            "TensorFlow ignore EXIF",
            count(rotated, "image", "is", "are"),
        )
