"""keras-yolo3: a text file with one image per line, followed by its boxes.

    train.txt, val.txt, classes.txt                         of keras-yolo3 and its successors
    train/_annotations.txt, train/_classes.txt, train/*.jpg Roboflow's "YOLO Keras TXT" and "YOLOv4 PyTorch TXT"

    images/a.jpg 10,20,30,40,0 5,6,7,8,1                    xmin,ymin,xmax,ymax,class id in pixels

Source: https://github.com/qqwweee/keras-yolo3. A line without boxes states a background image. Classes are named by
``_classes.txt`` or ``classes.txt``, else they are "class_0", "class_1" …
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.csv_table import table_files
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.text_lines import read_class_names, read_numbered_lines
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "keras-yolo3 text"
FILES = "*.txt of images, each followed by boxes"

_SUFFIXES = "|".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
_LINE = re.compile(rf"(.*?\.(?:{_SUFFIXES}))(?:\s+(.*))?", re.IGNORECASE)
_CLASS_FILES = ("_classes.txt", "classes.txt")
_MAX_SNIFFED_LINES = 20
_MAX_LINE = 65536
_MAX_CLASS_ID = 9999


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a text file of images with boxes, else ``NONE``."""
    return Match.SURE if _label_files(tree) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for a file that is not UTF-8 text."""
    pairs, notices = select_label_files(tree, _label_files(tree))
    images: list[ImageAnnotations] = []
    problems: list[Problem] = []
    folders = dict.fromkeys([*(path.parent for _, path in pairs), tree.root])
    names = read_class_names(folder / name for folder in folders for name in _CLASS_FILES)
    for split, path in pairs:
        for number, line in read_numbered_lines(path, "image with its boxes"):
            match = _LINE.fullmatch(line)
            if match is None:
                problems.append(
                    Problem(path, f"line {number}: expected an image and its boxes, got {line[:80]!r}; dropped")
                )
            else:
                images.append(_annotate(path, split, number, match, names))
    ids = (box.class_index for image in images for box in image.boxes)
    generated = tuple(f"class_{number}" for number in range(max(ids, default=-1) + 1))
    return ParsedDataset(
        tuple(names or generated), tuple(images), tuple(problems), tuple(notices), has_class_names=names is not None
    )


def _label_files(tree: FileTree) -> list[Path]:
    return [path for path in table_files(tree) if path.suffix.lower() == ".txt" and _has_boxes(path)]


def _has_boxes(path: Path) -> bool:
    """Return whether one of the first lines is an image with a box."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for line in itertools.islice(iter(lambda: file.readline(_MAX_LINE), ""), _MAX_SNIFFED_LINES):
                match = _LINE.fullmatch(line.strip())
                if match and match[2] and _parse_box(match[2].split()[0]):
                    return True
    except (OSError, ValueError):
        pass
    return False


def _annotate(path: Path, split: str, line: int, match: re.Match[str], names: list[str] | None) -> ImageAnnotations:
    boxes = []
    fault = ""
    for number, word in enumerate((match[2] or "").split(), 1):
        try:
            box = _parse_box(word)
        except ValueError:
            fault = fault or f"line {line}: box {number} is not five numbers: {word[:80]!r}"
            continue
        xmin, ymin, xmax, ymax, class_id = box
        highest = len(names) - 1 if names is not None else _MAX_CLASS_ID
        if not class_id.is_integer() or not 0 <= class_id <= highest:
            fault = fault or f"line {line}: box {number}: class id {class_id:g} is not one of 0 to {highest}"
        else:
            boxes.append(BoxAnnotation(int(class_id), (xmin, ymin, xmax, ymax), f"line {line} box {number}"))
    return ImageAnnotations(path, match[1], tuple(boxes), split, fault=fault)


def _parse_box(word: str) -> tuple[float, float, float, float, float]:
    """Return the sides and the class id of "10,20,30,40,0"; raise ValueError if it is something else."""
    xmin, ymin, xmax, ymax, class_id = map(float, word.split(","))
    return xmin, ymin, xmax, ymax, class_id
