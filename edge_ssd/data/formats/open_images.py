"""Open Images: a table of boxes for each split, images named by their id.

    train-annotations-bbox.csv, validation-annotations-bbox.csv …    ImageID,…,LabelName,…,XMin,XMax,YMin,YMax,IsGroupOf
    class-descriptions-boxable.csv                                   /m/011k07,Tortoise
    train/000026e7ee790996.jpg …                                     in any folders

Source: https://storage.googleapis.com/openimages/web/download_v7.html. Boxes are in 0–1. A group's box surrounds many
objects and is ignored, as COCO's crowds are. The tables list far more images than most users download, so rows of
images that are not in the folder are not used, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.ignored_regions import report_ignored_regions
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.text_table import TextTable, parse_number, sniff_rows
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "is_table", "parse", "sniff"]

TITLE = "Open Images CSV"
FILES = "*.csv with ImageID, LabelName, XMin, XMax, YMin and YMax"

_COLUMNS = ("ImageID", "LabelName", "XMin", "YMin", "XMax", "YMax")
_DESCRIPTION_COLUMNS = ("LabelName", "DisplayName")


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a table of boxes, else ``NONE``."""
    return Match.SURE if any(map(is_table, tree.files(".csv"))) else Match.NONE


def is_table(path: Path) -> bool:
    """Return whether a file is a table of boxes of Open Images."""
    rows = sniff_rows(path)
    return bool(rows) and set(_COLUMNS) <= set(rows[0])


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split. The classes are in alphabetical order."""
    paths = [path for path in tree.files(".csv") if is_table(path)]
    pairs, notices = select_label_files(tree, paths, several=True)
    descriptions = _read_descriptions(tree)
    images_here = {name for path in tree.images() for name in (path.stem, path.name)}
    tables = [_Table(path, split, images_here, descriptions) for split, path in pairs]
    names = sorted({label for table in tables for label in table.labels})
    index_of = {name: index for index, name in enumerate(names)}
    images = [image for table in tables for image in table.annotate(index_of)]
    absent = set().union(*(table.absent for table in tables))
    if absent and not images:
        raise DataError(
            f"{tables[0].path}: none of its {count(len(absent), 'image')} is in {tree.root}, such as {min(absent)}: "
            "put the images into this folder"
        )
    notices += [notice for table in tables for notice in table.notices()]
    unnamed = sorted({label for table in tables for label in table.unnamed})
    if unnamed:
        message = f"no file of class descriptions names {', '.join(unnamed[:3])}"
        more = f" and {count(len(unnamed) - 3, 'other label')}" if len(unnamed) > 3 else ""
        advice = "used as class names; add class-descriptions-boxable.csv, or rename them with --classes"
        notices.append(Problem(tree.root, f"{message}{more}: {advice}"))
    problems = [problem for table in tables for problem in table.problems]
    return ParsedDataset(tuple(names), tuple(images), tuple(problems), tuple(notices))


class _Table:
    """Content of a table for the images that exist."""

    def __init__(self, path: Path, split: str, images_here: set[str], descriptions: Mapping[str, str]) -> None:
        self.path = path
        self.labels: set[str] = set()
        self.unnamed: set[str] = set()
        self.absent: set[str] = set()
        self.problems: list[Problem] = []
        self._split = split
        self._boxes: dict[str, list[tuple[str, BoxAnnotation]]] = {}
        self._faults: dict[str, str] = {}
        self._groups = 0
        self._read(TextTable(path), images_here, descriptions)

    def annotate(self, index_of: Mapping[str, int]) -> list[ImageAnnotations]:
        """Return the images with their boxes, without those that have only groups."""
        return [
            ImageAnnotations(
                self.path,
                image,
                tuple(BoxAnnotation(index_of[label], box.box_xyxy, box.location) for label, box in boxes),
                self._split,
                normalized=True,
                fault=self._faults.get(image, ""),
            )
            for image, boxes in self._boxes.items()
            if boxes or image in self._faults
        ]

    def notices(self) -> list[Problem]:
        """Return what is not used of the table."""
        notices = []
        if self.absent:
            total = len(self.absent) + len(self._boxes)
            absent = f"{len(self.absent)} of its {count(total, 'image')} {'is' if len(self.absent) == 1 else 'are'}"
            message = f"{absent} not in the folder; their boxes are not used"
            notices.append(Problem(self.path, message))
        only_ignored = sum(not boxes for image, boxes in self._boxes.items() if image not in self._faults)
        return notices + report_ignored_regions(self.path, {"group": self._groups}, only_ignored)

    def _read(self, table: TextTable, images_here: set[str], descriptions: Mapping[str, str]) -> None:
        lines = table.rows()
        _, header = next(lines)
        position = {name: header.index(name) for name in (*_COLUMNS, "IsGroupOf", "ClassName") if name in header}
        image_column = position["ImageID"]
        previous = ""
        for line, cells in lines:
            image = cells[image_column] if image_column < len(cells) else ""
            if image in images_here or PurePosixPath(image).name in images_here:  # other tools write a path
                row = {name: cells[column] for name, column in position.items() if column < len(cells)}
                if surplus := table.surplus(cells, header_rows=1):
                    self._boxes.setdefault(image, [])
                    self._faults.setdefault(image, f"line {line}: {surplus}")
                else:
                    self._add(image, row, line, descriptions)
            elif image:
                self.absent.add(image)
            elif previous in self._boxes:  # its box may be one of the image above
                self._faults.setdefault(previous, f"line {line}: a row without an image: fill down merged cells")
            else:
                self.problems.append(Problem(self.path, f"line {line}: no ImageID; dropped"))
            previous = image or previous

    def _add(self, image: str, row: Mapping[str, str], line: int, descriptions: Mapping[str, str]) -> None:
        boxes = self._boxes.setdefault(image, [])
        if row.get("IsGroupOf") == "1":
            self._groups += 1
            return
        label = row.get("LabelName", "")
        name = row.get("ClassName") or descriptions.get(label, "")
        try:
            xmin, ymin, xmax, ymax = (parse_number(row[side]) for side in _COLUMNS[2:])
        except (KeyError, ValueError):
            self._faults.setdefault(image, f"line {line}: expected a box of four numbers")
            return
        if not name and not label:
            self._faults.setdefault(image, f"line {line}: no LabelName")
            return
        if not name:
            self.unnamed.add(label)
        self.labels.add(name or label)
        boxes.append((name or label, BoxAnnotation(0, (xmin, ymin, xmax, ymax), f"line {line}")))


def _read_descriptions(tree: FileTree) -> dict[str, str]:
    """Return label → name of all class descriptions: tables of two columns, with or without a header."""
    names: dict[str, str] = {}
    for path in tree.files(".csv"):
        rows = sniff_rows(path)
        has_header = bool(rows) and tuple(rows[0][:2]) == _DESCRIPTION_COLUMNS
        labels = [row[0] for row in rows if len(row) == 2]
        if not has_header and not (labels and all(label.startswith(("/m/", "/g/", "/j/", "/t/")) for label in labels)):
            continue
        for _, cells in TextTable(path).rows():
            if len(cells) > 1 and cells[1] and tuple(cells[:2]) != _DESCRIPTION_COLUMNS:
                names.setdefault(cells[0], cells[1])
    return names
