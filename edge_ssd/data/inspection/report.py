"""A data set looked at as a whole: every split's summary, and what only shows across files and splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.inspection.duplicates import DuplicateGroup, find_duplicates, find_near_duplicates
from edge_ssd.data.inspection.image_files import FileFinding, check_files
from edge_ssd.data.inspection.summary import Summary, summarise, undecodable
from edge_ssd.data.load import DatasetFolder, Split
from edge_ssd.errors import DataError
from edge_ssd.network import Network

__all__ = ["ALL", "DatasetReport", "survey"]

ALL = "all"
"""The name of the one part of a set that is not divided."""

_HEADINGS = {
    "mislabelled": "files of another kind than their name says",
    "turned": "pictures turned by EXIF",
    "case": "names that differ in upper and lower case only",
    "twins": "pictures that share a label file",
    "unlabelled": "pictures without labels, not used",
}
_SHOWN = 5

Progress = Callable[[int, "int | None"], None]
Steps = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class DatasetReport:
    """What a data set is like.

    Attributes:
        datasets: split (or :data:`ALL`) → what it holds.
        summaries: the same splits' counts.
        unusable: split → why it cannot be used.
        files: oddities of the picture files of all splits.
        duplicates: pictures that are there twice.
        compared: whether near duplicates were looked for too.
    """

    datasets: dict[str, Dataset]
    summaries: dict[str, Summary]
    unusable: dict[str, str]
    files: tuple[FileFinding, ...]
    duplicates: tuple[DuplicateGroup, ...]
    compared: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "splits": {name: summary.to_dict() for name, summary in self.summaries.items()},
            "unusable": dict(self.unusable),
            "files": [{"kind": found.kind, "file": str(found.path), "message": found.message} for found in self.files],
            "duplicates": [
                {
                    "near": group.near,
                    "across_splits": group.across,
                    "pictures": [{"split": split, "file": str(path)} for split, path in group.pictures],
                }
                for group in self.duplicates
            ],
        }

    def lines(self) -> list[str]:
        """The findings across files and splits, for a person; each kind's list is cut after a few."""
        lines = [f"{split}: cannot be used: {reason}" for split, reason in self.unusable.items()]
        notices = dict.fromkeys(notice for summary in self.summaries.values() for notice in summary.notices)
        lines += [f"note: {notice}" for notice in notices]
        for kind, heading in _HEADINGS.items():
            found = [f"{finding.path}: {finding.message}" for finding in self.files if finding.kind == kind]
            lines += _cut(heading, found)
        for near in (False, True):
            for across in (True, False):
                groups = [group for group in self.duplicates if (group.near, group.across) == (near, across)]
                lines += _cut(_duplicate_heading(near, across), [_group_line(group) for group in groups])
        return lines


def survey(
    opened: DatasetFolder,
    network: Network | None = None,
    split: Split | None = None,
    strict: bool = False,
    decode: bool = False,
    near: bool = True,
    steps: Steps | None = None,
) -> DatasetReport:
    """Look at a data set.

    Args:
        network: whose anchors the boxes are compared with; None for the book's.
        split: this one only; None for each by itself.
        strict: raise DataError on the first fault. Duplicates within a split, pictures that are turned and those
            that no label names are none.
        decode: read every picture to its last pixel.
        near: also look for near duplicates, which takes a few milliseconds a picture.
        steps: ``steps("reading")`` gives the progress of one piece of work.
    """
    datasets: dict[str, Dataset] = {}
    unusable: dict[str, str] = {}
    wanted: tuple[Split | None, ...] = (split,) if split else opened.splits or (None,)
    for name in wanted:
        try:
            with _step(steps, "reading") as progress:
                dataset = opened.load(name, strict=strict, incomplete=not strict, progress=progress)
            if decode:
                with _step(steps, "decoding") as progress:
                    broken = undecodable(dataset, progress)
                if broken and strict:
                    raise DataError(str(broken[0]))
                dataset = dataclasses.replace(dataset, problems=dataset.problems + broken)
        except DataError as error:
            if strict or len(wanted) == 1:
                raise
            unusable[name or ALL] = str(error)
            continue
        datasets[name or ALL] = dataset
    if not datasets:
        raise DataError("; ".join(unusable.values()))
    with _step(steps, "headers") as progress:
        files = _files(datasets, whole=split is None, by_stem=opened.format in ("voc", "yolo"), progress=progress)
    paths = {name: [sample.path for sample in dataset.samples] for name, dataset in datasets.items()}
    duplicates = find_duplicates(paths)
    if near:
        with _step(steps, "comparing") as progress:
            duplicates += find_near_duplicates(paths, progress)
    found = DatasetReport(
        datasets,
        {name: summarise(dataset, network) for name, dataset in datasets.items()},
        unusable,
        files,
        duplicates,
        near,
    )
    if strict:
        _refuse(found)
    return found


def _files(datasets: dict[str, Dataset], whole: bool, by_stem: bool, progress: Progress) -> tuple[FileFinding, ...]:
    samples = [sample for dataset in datasets.values() for sample in dataset.samples]
    named = [problem.path for dataset in datasets.values() for problem in dataset.problems]
    findings = check_files(samples, named, by_stem, progress)
    # What lies beside one split's pictures may well be another's.
    return tuple(finding for finding in findings if whole or finding.kind != "unlabelled")


def _refuse(found: DatasetReport) -> None:
    for finding in found.files:
        if finding.kind in ("mislabelled", "case", "twins"):
            raise DataError(f"{finding.path}: {finding.message}")
    for group in found.duplicates:
        if group.across and not group.near:
            raise DataError(f"{group.pictures[0][1]}: the same file is in two splits: {_group_line(group)}")


def _duplicate_heading(near: bool, across: bool) -> str:
    what = "look nearly the same (a guess by a perceptual hash: look at them)" if near else "are the same file"
    return f"groups of pictures that {what}, {'ACROSS SPLITS' if across else 'within a split'}"


def _group_line(group: DuplicateGroup) -> str:
    return " = ".join(f"{path} ({split})" if group.across else str(path) for split, path in group.pictures[:_SHOWN]) + (
        f" and {len(group.pictures) - _SHOWN} more" if len(group.pictures) > _SHOWN else ""
    )


def _cut(heading: str, found: list[str]) -> list[str]:
    if not found:
        return []
    more = [f"  and {len(found) - _SHOWN} more (--json lists all)"] if len(found) > _SHOWN else []
    return [f"{heading}: {len(found)}", *(f"  {line}" for line in found[:_SHOWN]), *more]


class _Silent:
    """Progress that nobody watches."""

    def __enter__(self) -> Progress:
        return lambda done, total: None

    def __exit__(self, *_: object) -> None:
        pass


def _step(steps: Steps | None, label: str) -> AbstractContextManager[Progress]:
    return _Silent() if steps is None else steps(label)
