"""Read a folder of labelled pictures, whatever its label format, and divide it.

A further format is a module with ``sniff(folder)`` and ``read(folder)``, a row of ``READERS``, and its name in
:data:`edge_ssd.data.source.FORMATS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np

from edge_ssd.data.assemble import assemble
from edge_ssd.data.classes import choose_classes, parse_classes
from edge_ssd.data.dataset import Dataset, Problem
from edge_ssd.data.formats import coco, d2l_csv, tf_csv, voc, yolo
from edge_ssd.data.formats.annotations import SPLITS, ImageAnnotations, ParsedDataset, SplitAnnotations
from edge_ssd.data.source import FORMATS, DataSource
from edge_ssd.errors import DataError

__all__ = [
    "READERS",
    "DatasetFolder",
    "Reader",
    "Split",
    "available_splits",
    "load_dataset",
    "open_dataset",
    "split_dataset",
]

Split = Literal["train", "val", "test"]


class Reader(NamedTuple):
    """One label format."""

    name: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path], ParsedDataset]


# Asked in this order: first what a file states outright, last what a folder merely looks like. Pascal VOC stands
# twice: where both XML files and tables are there, what has splits wins.
READERS = (
    Reader("d2l_csv", d2l_csv.sniff, d2l_csv.read),
    Reader("coco", coco.sniff, coco.read),
    Reader("yolo", yolo.sniff_description, yolo.read),
    Reader("voc", voc.sniff_splits, voc.read),
    Reader("tf_csv", tf_csv.sniff, tf_csv.read),
    Reader("voc", voc.sniff, voc.read),
    Reader("yolo", yolo.sniff, yolo.read),
)


@dataclass(frozen=True)
class DatasetFolder:
    """A data set whose label files are read and whose pictures are not looked at yet.

    Attributes:
        source: the folder, and what is taken of it.
        format: one of :data:`edge_ssd.data.source.FORMATS`.
        reading: what the label files say.
        others: further formats that the folder could be read in.
    """

    source: DataSource
    format: str
    reading: ParsedDataset
    others: tuple[str, ...] = ()

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that it comes in, of "train", "val", "test"; () where it is not divided."""
        return tuple(cast(Split, split) for split in SPLITS if split in self.reading.parts)

    def load(
        self,
        split: Split | None = None,
        labels: Sequence[str] | None = None,
        strict: bool = False,
        incomplete: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Dataset:
        """As :func:`load_dataset`, whose arguments are explained there.

        Args:
            incomplete: take what is there, and report pictures and label files that are absent as problems.
            progress: told how many pictures have been looked at.
        """
        root = self.source.folder
        _check_split(split)
        problems: list[Problem] = []
        notices: list[Problem] = []
        records: list[ImageAnnotations] = []
        for part in _choose(self.reading, split, root):
            if part.fatal and not incomplete:
                raise DataError(part.fatal)
            problems.extend([Problem(root, part.fatal)] if part.fatal else [])
            problems.extend(part.problems)
            notices.extend(part.notices)
            records.extend(part.records)
        if self.others:
            others = ", ".join(f"{name} ({FORMATS[name]})" for name in self.others)
            message = f"read as {self.format} ({FORMATS[self.format]}); it could also be {others}: choose with --format"
            notices.append(Problem(root, message))
        if strict and problems:
            raise DataError(str(problems[0]))
        labels, class_id_of, left_out = self._class_ids(labels, records, problems)
        if left_out:
            notices.append(Problem(root, f"{left_out} boxes of other classes left out"))
        samples, found_problems = assemble(records, class_id_of, incomplete, progress)
        problems.extend(found_problems)
        if strict and problems:
            raise DataError(str(problems[0]))
        if not samples:
            why = (
                f"; the first of {len(problems)} problems: {problems[0]}" if problems else ": its label files are empty"
            )
            raise DataError(f"{root}: no usable labelled picture{f' in split {split!r}' if split else ''}{why}")
        return Dataset(root, tuple(labels), samples, self.format, tuple(problems), tuple(notices))

    def _class_ids(
        self, labels: Sequence[str] | None, records: Sequence[ImageAnnotations], problems: Sequence[Problem]
    ) -> tuple[tuple[str, ...], list[int | None], int]:
        """The labels, the id of each class of the label files (None: left out), and how many boxes are left out.

        Raises DataError where there is no class, or one that occurs is not among ``labels``.
        """
        names = self.reading.names
        if not names and labels is None:
            why = f" (the first problem: {problems[0]})" if problems else ""
            raise DataError(f"{self.source}: its label files name no object: label some pictures first{why}")
        new_names: Sequence[str | None] = names
        if self.source.classes is not None:
            try:
                chosen = choose_classes(names, parse_classes(self.source.classes), not self.reading.names_stated)
            except DataError as error:
                raise DataError(f"{self.source}: {error}") from None
            new_names, default = chosen.new_names, chosen.labels
        elif labels is not None and not self.reading.names_stated:
            new_names = [labels[number] if number < len(labels) else name for number, name in enumerate(names)]
            default = tuple(labels)
        else:
            default = names
        labels = default if labels is None else tuple(labels)
        position = {label: index for index, label in enumerate(labels)}
        left_out = 0
        for record in records:
            for found in record.objects:
                new_name = new_names[found.class_index]
                left_out += new_name is None
                # Classes that occur only in another split do not matter.
                if new_name is not None and new_name not in position:
                    raise DataError(
                        f"{record.label_file}: {found.where}: unknown class {new_name!r}; "
                        f"expected one of: {', '.join(labels)}. Correct the label, use a model trained with this "
                        "class, or say with --classes which to take"
                    )
        return labels, [None if name is None else position.get(name) for name in new_names], left_out


def open_dataset(folder: str | os.PathLike[str]) -> DatasetFolder:
    """Recognise a data set's format and read its label files; raises DataError as :func:`load_dataset` does."""
    source = DataSource.of(folder)
    reader, place, others = _recognise(source)
    return DatasetFolder(source, reader.name, reader.read(place), others)


def load_dataset(
    folder: str | os.PathLike[str],
    split: Split | None = None,
    labels: Sequence[str] | None = None,
    strict: bool = False,
) -> Dataset:
    """Read a folder of labelled pictures; its label format is recognised. Pictures are not decoded.

    Args:
        folder: the data set, or a folder that holds nothing but the data set's; a
            :class:`~edge_ssd.data.source.DataSource` says also which format and classes to take.
        split: "train", "val", "test", or None for all there is. Where "val" is asked for and there is none,
            "test" is taken, since sets of two parts call the second either; nothing else stands in for another.
        labels: the class names in the order of the ids wanted, such as a model's. Without it the order is the
            data set's own, or that of the classes asked for. Where the data set has bare class numbers, these names
            are given to the numbers.
        strict: raise on the first problem instead of dropping what is wrong.

    Raises DataError, naming the file and what to do, for a folder that is absent, empty or not recognised, a
    split that is not there, an absent picture, a class that ``labels`` lacks, or a set of which nothing is left.
    """
    _check_split(split)
    return open_dataset(folder).load(split, labels, strict)


def available_splits(folder: str | os.PathLike[str]) -> tuple[Split, ...]:
    """The splits that a data set comes in, of "train", "val", "test"; () where it is not divided.

    Raises DataError as :func:`load_dataset` does.
    """
    return open_dataset(folder).splits


def split_dataset(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide a data set at random: the first holds about ``fraction`` of the pictures, the second the rest.

    The same seed gives the same division. Both have at least one picture and keep the order of the original;
    ``problems`` and ``notices`` stay with the first. Raises DataError for a fraction not between 0 and 1 or a single
    picture.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the fraction of a split must lie between 0 and 1, got {fraction!r}")
    total = len(dataset.samples)
    if total < 2:
        raise DataError(f"{dataset.root}: one picture cannot be divided in two: label more pictures")
    count = min(max(round(total * fraction), 1), total - 1)
    chosen = {int(index) for index in np.random.default_rng(seed).permutation(total)[:count]}
    first = tuple(sample for index, sample in enumerate(dataset.samples) if index in chosen)
    second = tuple(sample for index, sample in enumerate(dataset.samples) if index not in chosen)
    rest = Dataset(dataset.root, dataset.labels, second, dataset.format)
    return dataset.with_samples(first), rest


def _recognise(source: DataSource) -> tuple[Reader, Path, tuple[str, ...]]:
    """The reader, the folder to read (the source's, or the only one in it), and the other formats it could be."""
    root = source.folder
    if not root.exists():
        raise DataError(f"{root}: no such folder: check the path, or make one with: edge-ssd data make --to {root}")
    if not root.is_dir():
        raise DataError(f"{root}: a data set is a folder, this is a file: give the folder that holds it")
    try:
        entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith((".", "__MACOSX")))
        if not entries:
            raise DataError(f"{root}: the folder is empty: give a folder of labelled pictures")
        places = [root]
        nested = [entry for entry in entries if entry.is_dir()]
        if len(nested) == 1:
            places.append(nested[0])
        readers = [reader for reader in READERS if source.format in (None, reader.name)]
        found = [(reader, place) for reader in readers for place in places if reader.sniff(place)]
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror or error}): check its permissions") from None
    if found:
        reader, place = found[0]
        return reader, place, tuple(dict.fromkeys(other.name for other, _ in found if other.name != reader.name))
    if source.format is not None:
        what = FORMATS[source.format]
        raise DataError(f"{root}: no labels of {what} in it: leave out --format to have the format recognised")
    raise DataError(
        f"{root}: no labels found in a format known here: expected label.csv with a folder images (the book's), "
        "COCO JSON, YOLO's data.yaml or folders images and labels, Pascal VOC *.xml, or train_labels.csv with a "
        "filename column"
    )


def _check_split(split: str | None) -> None:
    if split is not None and split not in SPLITS:
        raise DataError(f"split must be one of {', '.join(SPLITS)} or nothing, got {split!r}")


def _choose(reading: ParsedDataset, split: Split | None, root: Path) -> list[SplitAnnotations]:
    """The parts of a split; raises DataError where there is no such."""
    if split is None:
        return list(reading.parts.values())
    wanted = split if split in reading.parts or split != "val" else "test"
    if wanted in reading.parts:
        return [reading.parts[wanted]]
    present = [name for name in reading.parts if name]
    if present:
        raise DataError(f"{root}: it has no split {split!r}, only {', '.join(present)}: choose one of these")
    raise DataError(
        f"{root}: it is not divided into train and val: move its label.csv and pictures into folders named "
        "…_train and …_val, or use all of it (no split)"
    )
