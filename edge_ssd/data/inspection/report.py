"""Inspection of a whole dataset: the summary of each split, image files, and duplicates across splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.inspection.duplicates import DuplicateGroup, find_duplicates, find_near_duplicates
from edge_ssd.data.inspection.image_files import FileFinding, check_files
from edge_ssd.data.inspection.summary import Summary, find_undecodable, summarize
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
    decode: bool = False,
    near: bool = True,
    steps: Steps = lambda label: nullcontext(no_progress),
) -> DatasetReport:
    """Load the splits of a dataset, count their content, check the image files and search for duplicates.

    Args:
        network: network whose anchors are compared with the boxes; None for the book's.
        split: the only split to inspect; None for every split.
        strict: raise DataError on the first fault. Duplicates within a split, EXIF-rotated images and images without
            labels are not faults.
        decode, near: also decode every image, and search for near duplicates (some milliseconds per image).
        steps: ``steps("reading")`` returns a context manager with the progress callback of one step.
    """
    split = opened.resolve_split(split)
    datasets: dict[str, Dataset] = {}
    unusable: dict[str, str] = {}
    splits: tuple[Split | None, ...] = (split,) if split else opened.splits or (None,)
    for name in splits:
        try:
            datasets[name or ALL] = _load(opened, name, strict, decode, steps)
        except DataError as error:
            if strict or len(splits) == 1:
                raise
            unusable[name or ALL] = str(error)
    if not datasets:
        raise DataError("; ".join(dict.fromkeys(unusable.values())))
    with steps("headers") as progress:
        files = _check_files(datasets, opened, all_splits=split is None, progress=progress)
    paths = {name: [sample.path for sample in dataset.samples] for name, dataset in datasets.items()}
    duplicates = find_duplicates(paths)
    if near:
        with steps("comparing") as progress:
            duplicates += find_near_duplicates(paths, progress)
    summaries = {name: summarize(dataset, network) for name, dataset in datasets.items()}
    report = DatasetReport(summaries, unusable, files, duplicates)
    if strict:
        _raise_first_fault(report)
    return report


def _load(opened: DatasetFolder, split: Split | None, strict: bool, decode: bool, steps: Steps) -> Dataset:
    """Return the samples of a split; with ``decode``, images that cannot be decoded are among its problems."""
    with steps("reading") as progress:
        dataset = opened.load(split, strict=strict, allow_missing=not strict, progress=progress)
    if not decode:
        return dataset
    with steps("decoding") as progress:
        undecodable = find_undecodable(dataset, progress)
    if undecodable and strict:
        raise DataError(str(undecodable[0]))
    return dataclasses.replace(dataset, problems=dataset.problems + undecodable)


def _check_files(
    datasets: dict[str, Dataset], opened: DatasetFolder, all_splits: bool, progress: ProgressCallback
) -> tuple[FileFinding, ...]:
    samples = [sample for dataset in datasets.values() for sample in dataset.samples]
    labeled = [image.path for images in opened.located.splits.values() for image in images if image.path is not None]
    by_stem = opened.annotations.label_file_per_image
    findings = check_files(opened.tree, samples, labeled, by_stem, opened.read_header, progress)
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
