"""YOLO: a text file a picture, in any of the arrangements that are about.

    data.yaml, images/train/, labels/train/ …     what data.yaml says, see yolo_yaml
    train/images/, train/labels/ …                the same without it
    images/, labels/                              a set without splits, or with lists train.txt, val.txt, test.txt
    a.jpg, a.txt, b.jpg, b.txt                    labels beside the pictures (also in folders train, val, test)

A picture's labels are where "labels" stands for the last "images" in its path, or beside it. A picture without a label
file is background. Without ``data.yaml`` classes are named by ``classes.txt`` or ``obj.names``, a name a line, or else
they are "class_0", "class_1" …
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.annotations import (
    IMAGE_SUFFIXES,
    SPLITS,
    BoxAnnotation,
    ImageAnnotations,
    ImageIndex,
    ParsedDataset,
    SplitAnnotations,
    split_from_suffix,
)
from edge_ssd.data.formats.names_file import read_class_names
from edge_ssd.data.formats.yolo_labels import LabelLines, looks_like_labels, read_label_lines
from edge_ssd.data.formats.yolo_yaml import find_description, read_description
from edge_ssd.errors import DataError

__all__ = ["parse", "sniff", "sniff_yaml"]

# Text files that are no labels, though they lie among them.
_OTHER_TEXTS = frozenset({"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt"})
_LOOKED_AT = 50


def sniff_yaml(folder: Path) -> bool:
    """Whether there is a ``data.yaml``."""
    return find_description(folder) is not None


def sniff(folder: Path) -> bool:
    """Whether there is a ``data.yaml``, or label files in one of the arrangements."""
    return sniff_yaml(folder) or bool(_bare_places(folder))


def parse(folder: Path) -> ParsedDataset:
    """Read every split; raises DataError for a ``data.yaml``, list or file of names that cannot be used."""
    path = find_description(folder)
    if path is None:
        bases = (folder, folder / "labels", folder.parent)
        stated = read_class_names(base / name for base in bases for name in ("classes.txt", "obj.names"))
        names = None if stated is None else dict(enumerate(stated))
        return _reading({split: _collect(places, names) for split, places in _bare_places(folder).items()}, names)
    description = read_description(path)
    collected = {
        split: _collect(places, description.names, description.keypoints) for split, places in description.parts.items()
    }
    reading = _reading(collected, description.names, description.problems)
    absent = {
        split: SplitAnnotations(
            (), (), f"{path}: its {split} pictures are in {entry!r}, which is not there: complete the data set"
        )
        for split, entry in description.absent.items()
        if split not in reading.splits
    }
    if not reading.splits and not absent:
        raise DataError(f"{path}: names no pictures: give their folders as train and val")
    return ParsedDataset(reading.class_names, {**reading.splits, **absent})


@dataclass(frozen=True)
class _Picture:
    """A picture, its label file's lines (None: it has none), and the list that names it, if one does."""

    folder: ImageIndex
    name: str
    stated_in: Path | None
    label_file: Path | None
    lines: LabelLines | None


@dataclass(frozen=True)
class _Collected:
    """The pictures of one split, and faults that are no picture's."""

    places: Sequence[Path]
    pictures: Sequence[_Picture]
    problems: Sequence[Problem]


def _collect(places: Sequence[Path], names: Mapping[int, str] | None, keypoints: bool = False) -> _Collected:
    """Find the pictures of a split and read their label files."""
    folders: dict[Path, ImageIndex] = {}
    label_folders: dict[Path, ImageIndex] = {}
    used: set[Path] = set()
    pictures: list[_Picture] = []
    problems: list[Problem] = []
    for place in places:
        for path in _pictures_below(place) if place.is_dir() else _listed_pictures(place):
            if path.parent not in folders:
                folders[path.parent] = ImageIndex(path.parent)
            folder = folders[path.parent]
            label_file, lines = _label_file(path), None
            if label_file is not None:
                used.add(label_file)
                label_folders.setdefault(label_file.parent, folder)
                try:
                    lines = read_label_lines(label_file, names, keypoints)
                except (OSError, UnicodeDecodeError) as error:
                    problems.append(Problem(label_file, f"no text in UTF-8 ({error}); its picture is dropped"))
                    continue
                problems.extend(lines.problems)
            stated_in = None if place.is_dir() else place
            pictures.append(_Picture(folder, path.name, stated_in, label_file, lines))
    for path in (path for labels in label_folders for path in sorted(labels.glob("*.txt"))):
        if path not in used and path.name not in _OTHER_TEXTS and not label_folders[path.parent].find_stem(path.stem):
            problems.append(Problem(path, "labels without a picture; dropped"))
    return _Collected(places, pictures, problems)


def _reading(
    collected: Mapping[str, _Collected], stated: Mapping[int, str] | None, problems: Sequence[Problem] = ()
) -> ParsedDataset:
    if stated is None:
        found = [picture.lines.objects for part in collected.values() for picture in part.pictures if picture.lines]
        highest = max((item.class_id for objects in found for item in objects), default=-1)
        names = {number: f"class_{number}" for number in range(highest + 1)}
    else:
        names = dict(stated)
    index_of = {number: index for index, number in enumerate(names)}
    parts = {split: _part(part, index_of) for split, part in collected.items()}
    if problems and parts:
        first = next(iter(parts))
        parts[first] = dataclasses.replace(parts[first], problems=(*problems, *parts[first].problems))
    return ParsedDataset(tuple(names.values()), parts, stated is not None)


def _part(collected: _Collected, index_of: Mapping[int, int]) -> SplitAnnotations:
    records: list[ImageAnnotations] = []
    reduced: list[Path] = []
    there = unlabelled = 0
    for picture in collected.pictures:
        lines = picture.lines
        if picture.folder.find(picture.name) is not None:
            there += 1
            unlabelled += lines is None
        if lines is not None and lines.reduced and picture.label_file is not None:
            reduced.append(picture.label_file)
        objects = tuple(
            BoxAnnotation(index_of[item.class_id], item.box_xyxy, f"line {item.line}")
            for item in (lines.objects if lines is not None else ())
        )
        where = picture.label_file or picture.stated_in or picture.folder.path / picture.name
        records.append(ImageAnnotations(where, picture.name, (picture.folder,), objects, normalized=True))
    places = ", ".join(map(str, collected.places))
    if there and unlabelled == there:
        return SplitAnnotations(
            (), (), f"{places}: no label files for its pictures: put them in a folder labels beside images"
        )
    notices = []
    if unlabelled:
        notices.append(
            Problem(collected.places[0], f"{unlabelled} pictures have no label file and are taken as background")
        )
    if reduced:
        message = f"and {len(reduced) - 1} more files: " if len(reduced) > 1 else ""
        notices.append(
            Problem(
                reduced[0], f"{message}polygons, rotated boxes or keypoints, taken as the upright boxes around them"
            )
        )
    return SplitAnnotations(tuple(records), tuple(collected.problems), notices=tuple(notices))


def _bare_places(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Folders or lists of pictures by split, for a set without ``data.yaml``."""
    if not folder.is_dir():
        return {}
    images = folder / "images"
    separate = images.is_dir() and _holds_labels(folder / "labels")
    lists: dict[str, tuple[Path, ...]] = {
        split: (path,) for split in SPLITS if _lists_labelled_pictures(path := folder / f"{split}.txt")
    }
    if lists:
        return lists
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted(path for path in (images if separate else folder).iterdir() if path.is_dir()):
        split = split_from_suffix(path.name)
        if split and separate:
            found[split] = (path,)
        elif split and (path / "images").is_dir() and _holds_labels(path / "labels"):
            found[split] = (path / "images",)
        elif split and _holds_labels(path):
            found[split] = (path,)
    if found:
        return found
    if separate or _holds_labels(folder):
        return {split_from_suffix(folder.resolve().name): (images if separate else folder,)}
    return {}


def _holds_labels(folder: Path) -> bool:
    """Whether text files in ``folder``, or one folder below, are labels; a few files are looked at."""
    looked_at = 0
    for pattern in ("*.txt", "*/*.txt"):
        for path in folder.glob(pattern):
            if path.name not in _OTHER_TEXTS:
                if looks_like_labels(path):
                    return True
                looked_at += 1
                if looked_at == _LOOKED_AT:
                    return False
    return False


def _lists_labelled_pictures(path: Path) -> bool:
    """Whether ``path`` is a list whose first picture has a label file."""
    if not path.is_file():
        return False
    try:
        first = next(iter(_listed_pictures(path)), None)
    except DataError:
        return False
    return first is not None and first.suffix.lower() in IMAGE_SUFFIXES and _label_file(first) is not None


def _pictures_below(folder: Path) -> list[Path]:
    found = []
    for base, folders, files in os.walk(folder):
        folders.sort()
        found += [Path(base, name) for name in sorted(files) if PurePath(name).suffix.lower() in IMAGE_SUFFIXES]
    return found


def _listed_pictures(path: Path) -> list[Path]:
    """The pictures that a list names, a path a line, relative to the list; raises DataError where it cannot be read."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}): it should list one picture a line") from None
    folder = ImageIndex(path.parent)
    return [folder.find(line) or path.parent / line for line in lines]


def _label_file(picture: Path) -> Path | None:
    """The label file of a picture: where "labels" stands for the last "images" in its path, or beside it."""
    parts = picture.parent.parts
    beside = picture.with_suffix(".txt")
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        swapped = Path(*parts[:last], "labels", *parts[last + 1 :], beside.name)
        if swapped.is_file():
            return swapped
    return beside if beside.is_file() else None
