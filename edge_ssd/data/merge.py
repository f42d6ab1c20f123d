"""Merging of several datasets into one: their classes by name, their splits by name, identical images once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_ssd.console.counts import count
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.classes import ClassMapping, parse_classes, select_classes
from edge_ssd.data.dataset import Dataset, Problem, Sample, problem_lines
from edge_ssd.data.inspection.duplicates import find_duplicates
from edge_ssd.data.load import DatasetFolder
from edge_ssd.data.plausibility.class_names import check_classes, spelling_key
from edge_ssd.data.split_names import SPLITS
from edge_ssd.data.splits import load_every_split
from edge_ssd.errors import DataError

__all__ = ["merge_datasets", "union_classes"]

_log = logging.getLogger(__name__)

# Sides of the same box in two label formats differ by rounding, by at most this many pixels.
_TOLERANCE = 0.5

_Entry = tuple[str, Sample]  # split and sample


def merge_datasets(
    folders: Sequence[DatasetFolder],
    classes: str | None = None,
    strict: bool = False,
    progress: ProgressCallback = no_progress,
) -> dict[str, Dataset]:
    """Merge datasets, of any formats, into one.

    Classes with the same name are the same class. Images of an undivided dataset are for training if another one is
    divided. Of identical files the first is kept, also if their labels differ, which is logged as a warning.

    Args:
        folders: the datasets, in the order in which classes and images are taken.
        classes: a class list as in :mod:`edge_ssd.data.classes`, for the classes of all datasets.
        strict: raise DataError for the first fault, and for identical files with different labels.
        progress: called with (images read, images in total) for each split of each dataset.

    Returns:
        Split → its samples; the only key is "" if no dataset is divided.

    Raises:
        DataError: as :meth:`DatasetFolder.load`, or some datasets have bare class numbers and others names.
    """
    union = union_classes(folders)
    has_names = any(folder.annotations.has_class_names for folder in folders)
    mapping = ClassMapping(union, union)
    if classes is not None:
        mapping = select_classes(union, parse_classes(classes), not has_names)
    new_name_of = dict(zip(union, mapping.new_names, strict=True))
    for folder in folders:
        own = {new_name_of[name] for name in folder.annotations.class_names}
        if missing := [label for label in mapping.labels if label not in own]:
            _log.info("%s: it has no class %s", folder.source.folder, " or ".join(missing))
    parts = [(folder, load_every_split(folder, union, strict, progress)) for folder in folders]
    is_divided = any("" not in splits for _, splits in parts)
    entries: list[_Entry] = []
    for folder, splits in parts:
        if is_divided and "" in splits:
            _log.info("%s: not divided, beside divided datasets: its images are for training", folder.source.folder)
        for split, dataset in splits.items():
            entries += ((split or ("train" if is_divided else ""), sample) for sample in dataset.samples)
    new_ids = [None if new is None else mapping.labels.index(new) for new in mapping.new_names]
    entries, copies = _separate_copies(entries)
    # Spellings of a class are reported below, with the option that merges them.
    keys = [spelling_key(name) for name in union] if classes is None else new_ids
    _report_copies(copies, keys, strict)
    excluded = Counter(
        name for _, sample in entries for name in (union[i] for i in sample.class_ids) if new_name_of[name] is None
    )
    if excluded:
        names = ", ".join(f"{name} ({count(boxes, 'box')})" for name, boxes in excluded.items())
        _log.info("excluded by --classes: %s; images with no other box are background", names)
    counts: dict[str, Counter[int]] = {}
    by_split: dict[str, list[Sample]] = {}
    for split, sample in entries:
        counts.setdefault(split, Counter()).update(sample.class_ids.tolist())
        by_split.setdefault(split, []).append(_select(sample, new_ids))
    _count_classes_of_copies(copies, counts)
    root, name = folders[0].source.folder, folders[0].format
    merged = ParsedDataset(union, (), has_class_names=has_names)
    num_images = {split: len(samples) for split, samples in by_split.items()}
    problems, notices = check_classes(root, merged, mapping, counts, num_images, classes)
    if strict and problems:
        raise DataError(problems[0].message)
    for problem in problems:
        _log.warning("%s", problem.message)
    for notice in notices:
        _log.info("%s", notice.message)
    return {
        split: Dataset(root, mapping.labels, tuple(by_split[split]), name)
        for split in (*SPLITS, "")
        if split in by_split
    }


def union_classes(folders: Sequence[DatasetFolder]) -> tuple[str, ...]:
    """Return the class names of all datasets in the order of their first appearance; differences are logged.

    Raises DataError if some datasets have bare class numbers and others names.
    """
    bare = [folder for folder in folders if not folder.annotations.has_class_names]
    if bare and len(bare) < len(folders):
        raise DataError(
            f"{bare[0].source.folder}: its labels have class numbers, those of other datasets have names: name the "
            "classes in a file classes.txt in it, one name per line"
        )
    union = tuple(dict.fromkeys(name for folder in folders for name in folder.annotations.class_names))
    for folder in folders:
        path, names = folder.source.folder, folder.annotations.class_names
        places = [union.index(name) for name in names]
        if places != sorted(places):
            _log.info("%s: its classes have another order (%s): they are matched by name", path, ", ".join(names))
    return union


@dataclass(frozen=True)
class _Copy:
    """A sample that is left out, and the identical one that is kept, each with its split."""

    kept: _Entry
    left_out: _Entry


def _separate_copies(entries: Sequence[_Entry]) -> tuple[list[_Entry], list[_Copy]]:
    """Return the first of all samples with the same bytes and the samples without such copies, and the copies."""
    indices: dict[Path, list[int]] = {}
    for index, (_, sample) in enumerate(entries):
        indices.setdefault(sample.path, []).append(index)
    # A dataset may be inside another one: the same path is an identical file.
    groups = [list(own) for own in indices.values() if len(own) > 1]
    groups += [
        sorted(index for _, path in group.images for index in indices[path])
        for group in find_duplicates({"": list(indices)})
    ]
    copies: dict[int, _Copy] = {}
    for first, *others in groups:
        for index in others:
            copies.setdefault(index, _Copy(entries[first], entries[index]))
    return [entry for index, entry in enumerate(entries) if index not in copies], list(copies.values())


def _report_copies(copies: Sequence[_Copy], keys: Sequence[Hashable], strict: bool) -> None:
    """Log how many copies are left out, and which of them have other labels; raise DataError for those if ``strict``.

    Args:
        keys: of each class; classes with the same key are the same, and boxes of one without (None) are left out.
    """
    conflicts: list[Problem] = []
    for copy in copies:
        (_, kept), (_, sample) = copy.kept, copy.left_out
        if not _same_labels(kept, sample, keys):
            message = f"the same image as {kept.path} with other labels; those of the first are used"
            conflicts.append(Problem(sample.path, message, "identical images with other labels"))
    if conflicts and strict:
        raise DataError(str(conflicts[0]).replace("; those of the first are used", ": correct one of them"))
    for line in problem_lines(conflicts, "correct the labels; --strict stops at the first"):
        _log.warning("%s", line)
    if copies:
        across = sum(copy.kept[0] != copy.left_out[0] for copy in copies)
        where = f"; {across} of them are in different splits, and stay in that of the first" if across else ""
        _log.info("%s identical to another one and left out%s", count(len(copies), "image", "is", "are"), where)


def _count_classes_of_copies(copies: Sequence[_Copy], counts: dict[str, Counter[int]]) -> None:
    """Add the boxes of classes that only images that are left out have: their names may be spellings of others."""
    known = set().union(*counts.values())
    for copy in copies:
        split, (_, sample) = copy.kept[0], copy.left_out
        counts[split].update(class_id for class_id in sample.class_ids.tolist() if class_id not in known)


def _same_labels(first: Sample, second: Sample, keys: Sequence[Hashable]) -> bool:
    """Return whether two samples have the same boxes up to rounding, in any order; ``keys`` as of _report_copies()."""
    own, remaining = (
        [
            (keys[class_id], box)
            for class_id, box in zip(sample.class_ids.tolist(), sample.boxes_xyxy, strict=True)
            if keys[class_id] is not None
        ]
        for sample in (first, second)
    )
    if len(own) != len(remaining):
        return False
    for key, box in own:
        match = next(
            (
                index
                for index, (other_key, other) in enumerate(remaining)
                if other_key == key and np.abs(other - box).max() <= _TOLERANCE
            ),
            None,
        )
        if match is None:
            return False
        del remaining[match]
    return True


def _select(sample: Sample, new_ids: Sequence[int | None]) -> Sample:
    """Return a sample with new class ids, without the boxes of excluded classes (None)."""
    kept = [index for index, class_id in enumerate(sample.class_ids) if new_ids[class_id] is not None]
    class_ids = [new_ids[sample.class_ids[index]] for index in kept]
    return Sample(sample.path, sample.boxes_xyxy[kept], np.array(class_ids, np.int64), sample.size)
