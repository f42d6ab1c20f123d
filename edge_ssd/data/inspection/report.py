"""Inspection of a whole dataset: the summary of each split, image files, and duplicates across splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.check_images import ImageCheck, apply_checks
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.inspection.duplicates import DuplicateGroup, find_duplicates, find_near_duplicates
from edge_ssd.data.inspection.image_files import FileFinding, check_files
from edge_ssd.data.inspection.summary import Summary, summarize
from edge_ssd.data.load import DatasetFolder, Split
from edge_ssd.errors import DataError
from edge_ssd.network import Network

__all__ = ["ALL", "DatasetReport", "inspect_dataset"]

ALL = "all"
"""Split name of a dataset without splits."""

Steps = Callable[[str], AbstractContextManager[ProgressCallback]]


@dataclass(frozen=True)
class DatasetReport:
    """Findings of :func:`inspect_dataset`.

    Attributes:
        summaries: split (or :data:`ALL`) → its samples and their counts.
        unusable: split → error that prevents loading it.
        files: findings about the image files of all splits.
        duplicates: groups of identical or similar images.
    """

    summaries: dict[str, Summary]
    unusable: dict[str, str]
    files: tuple[FileFinding, ...]
    duplicates: tuple[DuplicateGroup, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible dict."""
        return {
            "splits": {name: summary.to_dict() for name, summary in self.summaries.items()},
            "unusable": dict(self.unusable),
            "files": [{"kind": found.kind, "file": str(found.path), "message": found.message} for found in self.files],
            "duplicates": [
                {
                    "near": group.near,
                    "across_splits": group.across,
                    "pictures": [{"split": split, "file": str(path)} for split, path in group.images],
                }
                for group in self.duplicates
            ],
        }


def inspect_dataset(
    opened: DatasetFolder,
    network: Network | None = None,
    split: Split | None = None,
    strict: bool = False,
    decode: bool = True,
    near: bool = True,
    steps: Steps = lambda label: nullcontext(no_progress),
) -> DatasetReport:
    """Load the splits of a dataset, count their content, check the image files and search for duplicates.

    Args:
        network: network whose anchors are compared with the boxes; None for the book's.
        split: the only split to inspect; None for every split.
        strict: raise DataError on the first fault. Duplicates within a split, EXIF-rotated images, images of one color
            and images without labels are not faults.
        decode: decode every image, as a training would; else only headers are read.
        near: search for near duplicates among the decoded images.
        steps: ``steps("reading")`` returns a context manager with the progress callback of one step.
    """
    split = opened.resolve_split(split)
    if decode:  # first, since it also gives the headers that loading needs
        with steps("decoding") as progress:
            opened.image_checks.check(_image_paths(opened, split), progress)
    datasets: dict[str, Dataset] = {}
    unusable: dict[str, str] = {}
    splits: tuple[Split | None, ...] = (split,) if split else opened.splits or (None,)
    for name in splits:
        try:
            with steps("reading") as progress:
                datasets[name or ALL] = opened.load(name, strict=strict, allow_missing=not strict, progress=progress)
        except DataError as error:
            if strict or len(splits) == 1:
                raise
            unusable[name or ALL] = str(error)
    checks: dict[Path, ImageCheck] = {}
    if decode:
        checks = _checks_of(opened, datasets)
        for name_of_split, dataset in list(datasets.items()):
            try:
                datasets[name_of_split] = _without_damaged(dataset, checks, strict)
            except DataError as error:
                if strict or len(splits) == 1:
                    raise
                unusable[name_of_split] = str(error)
                del datasets[name_of_split]
    if not datasets:
        raise DataError("; ".join(dict.fromkeys(unusable.values())))
    files = _check_files(datasets, opened, checks, all_splits=split is None)
    paths = {name: [sample.path for sample in dataset.samples] for name, dataset in datasets.items()}
    duplicates = find_duplicates(paths)
    if near and decode:
        with steps("comparing") as progress:
            thumbnails = {path: check.thumbnail for path, check in checks.items()}
            duplicates += find_near_duplicates(paths, thumbnails, progress)
    summaries = {name: summarize(dataset, network) for name, dataset in datasets.items()}
    report = DatasetReport(summaries, unusable, files, duplicates)
    if strict:
        _raise_first_fault(report)
    return report


def _image_paths(opened: DatasetFolder, split: Split | None) -> list[Path]:
    """Return the images of a split or of all, without those that cannot be used whatever they show."""
    splits = [images for name, images in opened.located.splits.items() if split in (None, name)]
    return [image.path for images in splits for image in images if image.path is not None and not image.fault]


def _checks_of(opened: DatasetFolder, datasets: Mapping[str, Dataset]) -> dict[Path, ImageCheck]:
    paths = [sample.path for dataset in datasets.values() for sample in dataset.samples]
    return dict(zip(paths, opened.image_checks.check(paths), strict=True))


def _without_damaged(dataset: Dataset, checks: Mapping[Path, ImageCheck], strict: bool) -> Dataset:
    """Return the images that can be decoded; what else decoding found is listed by :func:`check_files`."""
    usable = apply_checks(dataset, [checks[sample.path] for sample in dataset.samples], strict)
    return dataclasses.replace(usable, notices=dataset.notices)


def _check_files(
    datasets: dict[str, Dataset], opened: DatasetFolder, checks: Mapping[Path, ImageCheck], all_splits: bool
) -> tuple[FileFinding, ...]:
    samples = [sample for dataset in datasets.values() for sample in dataset.samples]
    labeled = [image.path for images in opened.located.splits.values() for image in images if image.path is not None]
    by_stem = opened.annotations.label_file_per_image
    findings = check_files(opened.tree, samples, labeled, by_stem, opened.read_header, checks)
    # An image beside those of one split may belong to another split.
    return tuple(finding for finding in findings if all_splits or finding.kind != "unlabelled")


def _raise_first_fault(report: DatasetReport) -> None:
    """Raise DataError for the first finding that ``strict`` treats as a fault."""
    for finding in report.files:
        if finding.kind in ("mislabelled", "case", "twins"):
            raise DataError(f"{finding.path}: {finding.message}")
    for group in report.duplicates:
        if group.across and not group.near:
            raise DataError(f"{group.images[0][1]}: the same file is in two splits: {group.describe()}")
