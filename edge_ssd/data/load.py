"""Read a folder of labelled pictures, whatever its label format, and divide it.

A further format is a module with ``recognises(folder)`` and ``read(folder)``, and a row of ``READERS``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np

from edge_ssd.data import d2l_csv, tf_csv, voc
from edge_ssd.data.assemble import assemble
from edge_ssd.data.dataset import Dataset, Problem
from edge_ssd.data.records import SPLITS, Part, Reading, Record
from edge_ssd.errors import DataError

__all__ = ["READERS", "Reader", "Split", "available_splits", "load_dataset", "split_dataset"]

Split = Literal["train", "val", "test"]


class Reader(NamedTuple):
    """One label format."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Reading]


# Asked in this order. Pascal VOC stands twice: where both XML files and tables are there, what has splits wins.
READERS = (
    Reader("d2l_csv", d2l_csv.recognises, d2l_csv.read),
    Reader("voc", voc.recognises_splits, voc.read),
    Reader("tf_csv", tf_csv.recognises, tf_csv.read),
    Reader("voc", voc.recognises, voc.read),
)


def load_dataset(
    folder: str | os.PathLike[str],
    split: Split | None = None,
    labels: Sequence[str] | None = None,
    strict: bool = False,
) -> Dataset:
    """Read a folder of labelled pictures; its label format is recognised. Pictures are not decoded.

    Args:
        folder: the data set, or a folder that holds nothing but the data set's.
        split: "train", "val", "test", or None for all there is. Where "val" is asked for and there is none,
            "test" is taken, since sets of two parts call the second either; nothing else stands in for another.
        labels: the class names in the order of the ids wanted, such as a model's. Without it the order is the
            data set's own. Where the data set has bare class numbers, these names are given to the numbers.
        strict: raise on the first problem instead of dropping what is wrong.

    Raises DataError, naming the file and what to do, for a folder that is absent, empty or not recognised, a
    split that is not there, an absent picture, a class that ``labels`` lacks, or a set of which nothing is left.
    """
    root = Path(folder)
    if split is not None and split not in SPLITS:
        raise DataError(f"split must be one of {', '.join(SPLITS)} or nothing, got {split!r}")
    reader, place = _recognise(root)
    reading = reader.read(place)
    problems: list[Problem] = []
    records: list[Record] = []
    for part in _choose(reading, split, root):
        if part.fatal:
            raise DataError(part.fatal)
        problems.extend(part.problems)
        records.extend(part.records)
    names = reading.names
    if labels is None:
        if not names:
            why = f" (the first problem: {problems[0]})" if problems else ""
            raise DataError(f"{root}: its label files name no object: label some pictures first{why}")
        labels, class_id_of = names, tuple(range(len(names)))
    elif reading.names_stated:
        position = {label: index for index, label in enumerate(labels)}
        # Classes that occur only in another split do not matter: -1 is never looked up.
        class_id_of = tuple(position.get(name, -1) for name in names)
    else:
        class_id_of = tuple(number if number < len(labels) else -1 for number in range(len(names)))
    for record in records:
        for found in record.objects:
            if class_id_of[found.class_index] < 0:
                raise DataError(
                    f"{record.label_file}: {found.where}: unknown class {names[found.class_index]!r}; "
                    f"expected one of: {', '.join(labels)}. Correct the label, or use a model trained with this class"
                )
    if strict and problems:
        raise DataError(str(problems[0]))
    samples, found_problems = assemble(records, class_id_of)
    problems.extend(found_problems)
    if strict and problems:
        raise DataError(str(problems[0]))
    if not samples:
        why = f"; the first of {len(problems)} problems: {problems[0]}" if problems else ": its label files are empty"
        raise DataError(f"{root}: no usable labelled picture{f' in split {split!r}' if split else ''}{why}")
    return Dataset(root, tuple(labels), samples, reader.name, tuple(problems))


def available_splits(folder: str | os.PathLike[str]) -> tuple[Split, ...]:
    """The splits that a data set comes in, of "train", "val", "test"; () where it is not divided.

    Raises DataError as :func:`load_dataset` does.
    """
    reader, place = _recognise(Path(folder))
    parts = reader.read(place).parts
    return tuple(cast(Split, split) for split in SPLITS if split in parts)


def split_dataset(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide a data set at random: the first holds about ``fraction`` of the pictures, the second the rest.

    The same seed gives the same division. Both have at least one picture and keep the order of the original;
    ``problems`` stay with the first. Raises DataError for a fraction not between 0 and 1 or a single picture.
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


def _recognise(root: Path) -> tuple[Reader, Path]:
    """The reader for a folder, and the folder to read: this one, or the only one in it."""
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
        for reader in READERS:
            for place in places:
                if reader.recognises(place):
                    return reader, place
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror or error}): check its permissions") from None
    raise DataError(
        f"{root}: no labels found in a format known here: expected label.csv with a folder images (the book's), "
        "Pascal VOC *.xml, or train_labels.csv with a filename column"
    )


def _choose(reading: Reading, split: Split | None, root: Path) -> list[Part]:
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
